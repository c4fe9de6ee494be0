//! GPUs are locked host-wide: two runs, of whomever, do not compute on one. A lock is a file with the GPU's identity as its
//! name, which is the same in every run, whatever `CUDA_VISIBLE_DEVICES` each of them has.

use super::outcome::Gpu;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The variable that names another folder for the locks; all runs of a machine must agree on it.
const FOLDER: &str = "MATSSL_GPU_LOCKS";
/// Not `TMPDIR`, which differs between users.
const DEFAULT_FOLDER: &str = "/tmp/matssl-run-gpus";

/// The locks of this run on the GPUs it may use.
#[derive(Debug)]
pub(super) struct GpuLocks {
    folder: PathBuf,
    /// The file names of the locks, in the order in which the run counts its GPUs.
    names: Vec<String>,
    /// By stage: the number of its GPU among `names`, and the lock.
    held: BTreeMap<usize, (usize, File)>,
    /// GPUs that others had when they were last asked for.
    elsewhere: BTreeSet<usize>,
}

impl GpuLocks {
    pub(super) fn new(gpus: &[Gpu]) -> Self {
        let folder = std::env::var_os(FOLDER).map_or_else(|| DEFAULT_FOLDER.into(), PathBuf::from);
        GpuLocks::of(folder, gpus.iter().map(|gpu| gpu.identity.clone()))
    }

    /// Locks in `folder` on the GPUs of these `identities`.
    fn of(folder: PathBuf, identities: impl Iterator<Item = String>) -> Self {
        let names = identities.map(|identity| identity.replace(':', "-")).collect();
        GpuLocks { folder, names, held: BTreeMap::new(), elsewhere: BTreeSet::new() }
    }

    /// Locks `gpu` for `stage`; false if another run has it.
    ///
    /// # Errors
    /// If there is no place for locks.
    pub(super) fn take(&mut self, stage: usize, gpu: usize) -> Result<bool> {
        match self.try_lock(gpu)? {
            Some(lock) => {
                self.held.insert(stage, (gpu, lock));
                Ok(true)
            }
            None => {
                self.elsewhere.insert(gpu);
                Ok(false)
            }
        }
    }

    /// `stage` needs its GPU no longer.
    pub(super) fn release(&mut self, stage: usize) {
        self.held.remove(&stage);
    }

    /// GPUs that others had and have no longer.
    pub(super) fn freed(&mut self) -> Vec<usize> {
        let free = |gpu: &usize| !matches!(self.try_lock(*gpu), Ok(None));
        let freed: Vec<usize> = self.elsewhere.iter().copied().filter(free).collect();
        self.elsewhere.retain(|gpu| !freed.contains(gpu));
        freed
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
                    // Other users lock it too; whoever made it may say so.
                    file.set_permissions(fs::Permissions::from_mode(0o666))?;
                    Ok(file)
                }
            }
        };
        let file = open()
            .with_context(|| format!("cannot lock a GPU with {}; name another folder in {FOLDER}", path.display()))?;
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

    fn locks(folder: &Path, identities: &[&str]) -> GpuLocks {
        GpuLocks::of(folder.join("locks"), identities.iter().map(|&identity| identity.to_owned()))
    }

    #[test]
    fn a_gpu_that_another_run_has_is_told_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let both = ["cuda:0", "cuda:1"];
        let (mut ours, mut theirs) = (locks(dir.path(), &both), locks(dir.path(), &both));
        assert!(theirs.take(7, 0).unwrap());
        assert!(!ours.take(3, 0).unwrap() && ours.take(3, 1).unwrap());
        assert!(ours.freed().is_empty());
        theirs.release(7);
        assert_eq!(ours.freed(), [0]);
        assert!(ours.freed().is_empty() && ours.take(4, 0).unwrap());
    }

    /// `CUDA_VISIBLE_DEVICES=0,1` beside `1,0` and `1`.
    #[test]
    fn runs_that_count_the_gpus_otherwise_lock_the_same_ones() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = ("GPU-00000000-0000-0000-0000-000000000001", "GPU-00000000-0000-0000-0000-000000000002");
        let mut plain = locks(dir.path(), &[first, second]);
        let mut permuted = locks(dir.path(), &[second, first]);
        let mut one = locks(dir.path(), &[second]);
        assert!(plain.take(1, 0).unwrap());
        // Its 1 is the other's 0.
        assert!(!permuted.take(2, 1).unwrap() && permuted.take(2, 0).unwrap());
        assert!(!one.take(3, 0).unwrap() && !plain.take(4, 1).unwrap());
        permuted.release(2);
        assert!(one.take(3, 0).unwrap());
    }

    #[test]
    fn a_lock_bears_the_identity_of_its_gpu() {
        let gpu = |name: &str| Gpu { name: name.parse().unwrap(), identity: name.to_owned() };
        let names = GpuLocks::new(&[gpu("pretended:0"), gpu("pretended:3")]).names;
        assert_eq!(names, ["pretended-0", "pretended-3"]);
    }
}
