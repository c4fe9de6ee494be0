//! Private folders to work in, used again and again by one process.
//!
//! Making and removing folders is slow on some file systems (on ext4 with `discard` each removal waits for the disk),
//! moving them is not: what is done with is emptied and kept for the next.

use super::work::{host_name, is_alive};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One private folder. Removed when the last of its users drops it.
#[derive(Debug)]
pub struct Scratch {
    root: tempfile::TempDir,
    /// Empty folders below `spare/`.
    spare: Mutex<Vec<PathBuf>>,
}

/// What the names of all private folders begin with.
pub(super) const PREFIX: &str = "attempt-";

impl Scratch {
    fn new(work: &Path) -> io::Result<Self> {
        let prefix = format!("{PREFIX}{}-{}-", host_name(), std::process::id());
        let root = tempfile::Builder::new().prefix(&prefix).tempdir_in(work)?;
        for folder in ["out", "folder", "spare"] {
            fs::create_dir(root.path().join(folder))?;
        }
        Ok(Scratch { root, spare: Mutex::default() })
    }

    /// The empty folder that a stage fills with its output.
    pub fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    /// Another empty folder, for what is no output.
    pub fn folder(&self) -> PathBuf {
        self.root.path().join("folder")
    }

    /// Makes the folder `path`, which lies in one of the two, and those above it that are missing.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        let spare = self.spare().pop();
        let made = match &spare {
            Some(spare) => fs::rename(spare, path),
            None => fs::create_dir(path),
        };
        match made {
            Ok(()) => return Ok(()),
            Err(_) => self.spare().extend(spare),
        }
        if path.is_dir() {
            return Ok(());
        }
        self.make_folder(path.parent().ok_or(io::ErrorKind::NotFound)?)?;
        fs::create_dir(path)
    }

    /// Empties it, and keeps its folders for the next.
    fn clear(&self) -> io::Result<()> {
        self.empty(&self.out())?;
        self.empty(&self.folder())
    }

    fn empty(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            self.empty(&entry.path())?;
            let count = self.spare().len();
            if count < 64 {
                let kept = self.root.path().join("spare").join(count.to_string());
                fs::rename(entry.path(), &kept)?;
                self.spare().push(kept);
            } else {
                fs::remove_dir(entry.path())?;
            }
        }
        Ok(())
    }

    fn spare(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The private folders of this process in one cache.
#[derive(Debug)]
pub(super) struct Pool {
    work: PathBuf,
    free: Mutex<Vec<Arc<Scratch>>>,
    /// What killed processes have left is looked for once.
    tidied: std::sync::Once,
}

impl Pool {
    pub(super) fn new(work: PathBuf) -> Self {
        Pool { work, free: Mutex::default(), tidied: std::sync::Once::new() }
    }

    /// One that nobody uses.
    pub(super) fn take(&self) -> io::Result<Arc<Scratch>> {
        self.tidied.call_once(|| remove_dead(&self.work));
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match free {
            Some(scratch) if scratch.root.path().exists() => Ok(scratch),
            _ => Scratch::new(&self.work).map(Arc::new),
        }
    }

    /// Somebody is done with it.
    pub(super) fn give_back(&self, scratch: Arc<Scratch>) {
        // One that cannot be emptied is dropped, and with that removed as far as it can be.
        if scratch.clear().is_ok() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
    }
}

/// Removes what killed processes of this host left. Those of other hosts may be alive.
fn remove_dead(work: &Path) {
    let mine = format!("{PREFIX}{}-", host_name());
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(&mine).and_then(|rest| rest.split('-').next()?.parse().ok());
        if pid.is_some_and(|pid| !is_alive(pid)) {
            // Another process may be at the same: no matter who removes it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_used_again_is_empty_and_its_folders_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(dir.path().to_path_buf());
        let first = pool.take().unwrap();
        first.make_folder(&first.folder().join("a/b/c")).unwrap();
        fs::write(first.folder().join("a/b/file"), "x").unwrap();
        fs::write(first.out().join("file"), "x").unwrap();
        let place = first.folder();
        pool.give_back(first);
        let again = pool.take().unwrap();
        assert_eq!(again.folder(), place);
        for folder in [again.folder(), again.out()] {
            assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
        }
        assert_eq!(again.spare().len(), 3);
        again.make_folder(&again.folder().join("x/y")).unwrap();
        again.make_folder(&again.folder().join("x/y")).unwrap();
        assert!(again.folder().join("x/y").is_dir());
        let other = pool.take().unwrap();
        assert_ne!(other.folder(), place, "the first is in use");
        drop((again, other, pool));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_cleared_and_what_another_host_left_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join(format!("{PREFIX}{}-999999999-x", host_name()));
        let foreign = dir.path().join("attempt-elsewhere-999999999-x");
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&foreign).unwrap();
        let _scratch = Pool::new(dir.path().to_path_buf()).take().unwrap();
        assert!(!dead.exists() && foreign.exists());
    }
}
