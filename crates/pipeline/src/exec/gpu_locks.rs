//! Host-wide locks on GPUs: two runs, of any users, never share a GPU. A lock is a file named after the GPU's identity,
//! which does not depend on `CUDA_VISIBLE_DEVICES`.

use super::outcome::Gpu;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Environment variable with another folder for the locks; all runs on a machine must use the same folder.
const FOLDER: &str = "MATSSL_GPU_LOCKS";
/// Not `TMPDIR`, which differs between users.
const DEFAULT_FOLDER: &str = "/tmp/matssl-run-gpus";

/// The locks of this run on the GPUs it may use.
pub(super) struct GpuLocks {
    folder: PathBuf,
    /// The file names of the locks, in the order in which the run counts its GPUs.
    names: Vec<String>,
    /// By stage: the number of its GPU among `names`, and the lock.
    held: BTreeMap<usize, (usize, File)>,
    freed: Freed,
}

/// Called with the number of a GPU when another run has released it.
type Freed = Arc<dyn Fn(usize) + Send + Sync>;

impl GpuLocks {
    pub(super) fn new(gpus: &[Gpu], freed: Freed) -> Self {
        let folder = std::env::var_os(FOLDER).map_or_else(|| DEFAULT_FOLDER.into(), PathBuf::from);
        GpuLocks::of(folder, gpus.iter().map(|gpu| gpu.identity.clone()), freed)
    }

    /// Locks in `folder` on the GPUs of these `identities`.
    fn of(folder: PathBuf, identities: impl Iterator<Item = String>, freed: Freed) -> Self {
        let names = identities.map(|identity| identity.replace(':', "-")).collect();
        GpuLocks { folder, names, held: BTreeMap::new(), freed }
    }

    /// Locks `gpu` for `stage`. False if another run holds it; [`Freed`] is called when that run releases it.
    ///
    /// # Errors
    /// If the lock file cannot be created.
    pub(super) fn take(&mut self, stage: usize, gpu: usize) -> Result<bool> {
        match self.try_lock(gpu)? {
            Some(lock) => {
                self.held.insert(stage, (gpu, lock));
                Ok(true)
            }
            None => {
                self.wait_for(gpu);
                Ok(false)
            }
        }
    }

    /// Releases the GPU of `stage`.
    pub(super) fn release(&mut self, stage: usize) {
        self.held.remove(&stage);
    }

    /// Calls `freed` once, from another thread, when the run that holds `gpu` has released it.
    fn wait_for(&self, gpu: usize) {
        let (path, freed) = (self.folder.join(&self.names[gpu]), Arc::clone(&self.freed));
        std::thread::spawn(move || {
            // A shared lock, so that waiting runs do not block each other.
            if let Ok(file) = File::open(path) {
                let _ = file.lock_shared();
            }
            freed(gpu);
        });
    }

    fn try_lock(&self, gpu: usize) -> Result<Option<File>> {
        let path = self.folder.join(&self.names[gpu]);
        let open = || -> std::io::Result<File> {
            if !self.folder.exists() {
                fs::create_dir_all(&self.folder)?;
                fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o777))?;
            }
            match File::open(&path) {
                Ok(file) => Ok(file),
                Err(_) => {
                    let file = File::options().create(true).append(true).open(&path)?;
                    // Other users lock it too; only its owner can set its permissions.
                    file.set_permissions(fs::Permissions::from_mode(0o666))?;
                    Ok(file)
                }
            }
        };
        let file = open()
            .with_context(|| format!("cannot lock a GPU with {}; set {FOLDER} to another folder", path.display()))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            // Where locks do not work, GPUs are not locked.
            Err(TryLockError::Error(_)) | Ok(()) => Ok(Some(file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::mpsc::{Sender, channel};

    fn locks(folder: &Path, identities: &[&str], freed: Sender<usize>) -> GpuLocks {
        let freed = std::sync::Mutex::new(freed);
        let freed = Arc::new(move |gpu| freed.lock().unwrap().send(gpu).unwrap_or_default());
        GpuLocks::of(folder.join("locks"), identities.iter().map(|&identity| identity.to_owned()), freed)
    }

    #[test]
    fn the_release_of_a_gpu_by_another_run_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let both = ["cuda:0", "cuda:1"];
        let ((sender, freed), (unused, _)) = (channel(), channel());
        let (mut ours, mut theirs) = (locks(dir.path(), &both, sender), locks(dir.path(), &both, unused));
        assert!(theirs.take(7, 0).unwrap());
        assert!(!ours.take(3, 0).unwrap() && ours.take(3, 1).unwrap());
        assert!(freed.try_recv().is_err());
        theirs.release(7);
        assert_eq!(freed.recv(), Ok(0));
        assert!(ours.take(4, 0).unwrap());
    }

    /// `CUDA_VISIBLE_DEVICES=0,1` beside `1,0` and `1`.
    #[test]
    fn runs_that_number_the_gpus_differently_lock_the_same_ones() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = ("GPU-00000000-0000-0000-0000-000000000001", "GPU-00000000-0000-0000-0000-000000000002");
        let (sender, _) = channel();
        let mut plain = locks(dir.path(), &[first, second], sender.clone());
        let mut permuted = locks(dir.path(), &[second, first], sender.clone());
        let mut one = locks(dir.path(), &[second], sender);
        assert!(plain.take(1, 0).unwrap());
        // Its GPU 1 is GPU 0 of the other.
        assert!(!permuted.take(2, 1).unwrap() && permuted.take(2, 0).unwrap());
        assert!(!one.take(3, 0).unwrap() && !plain.take(4, 1).unwrap());
        permuted.release(2);
        assert!(one.take(3, 0).unwrap());
    }

    #[test]
    fn a_lock_file_is_named_after_the_identity_of_its_gpu() {
        let gpu = |name: &str| Gpu { name: name.parse().unwrap(), identity: name.to_owned() };
        let names = GpuLocks::new(&[gpu("pretended:0"), gpu("pretended:3")], Arc::new(drop)).names;
        assert_eq!(names, ["pretended-0", "pretended-3"]);
    }
}
