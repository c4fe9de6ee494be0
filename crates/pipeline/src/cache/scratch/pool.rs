//! The private folders of this process in one cache.

use super::folder::Scratch;
use super::locked_folder::remove_dead;
use super::trash::Trash;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once, PoisonError};

/// The private folders of this process in one cache.
#[derive(Debug)]
pub(in super::super) struct Pool {
    work: PathBuf,
    free: Mutex<Vec<Arc<Scratch>>>,
    trash: Arc<Trash>,
    /// Folders of dead processes are removed once.
    dead_removed: Once,
}

impl Pool {
    /// A pool that makes its folders in `work`.
    pub(in super::super) fn new(work: PathBuf) -> Self {
        let trash = Arc::new(Trash::new(work.clone()));
        Pool { work, free: Mutex::default(), trash, dead_removed: Once::new() }
    }

    /// A private folder that is not in use.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub(in super::super) fn take(&self) -> io::Result<Arc<Scratch>> {
        self.dead_removed.call_once(|| remove_dead(&self.work));
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match free {
            Some(scratch) if scratch.exists() => Ok(scratch),
            _ => Scratch::new(&self.work, &self.trash).map(Arc::new),
        }
    }

    /// Empties a folder that is no longer in use, and keeps it for the next user.
    pub(in super::super) fn give_back(&self, scratch: Arc<Scratch>) {
        // A folder that cannot be emptied is dropped, and so removed as far as possible.
        if scratch.clear().is_ok() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
    }

    /// Leaves all folders where they are when this process ends: another process then calls [`remove_dead`].
    pub(in super::super) fn leave(&self) {
        self.trash.leave_folders();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_folder_that_is_used_again_is_empty_and_keeps_spare_folders() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(dir.path().to_path_buf());
        let first = pool.take().unwrap();
        first.make_folder(&first.folder().join("a/b/c")).unwrap();
        fs::write(first.folder().join("a/b/file"), "x").unwrap();
        fs::write(first.out().join("file"), "x").unwrap();
        let path = first.folder();
        pool.give_back(first);
        let again = pool.take().unwrap();
        assert_eq!(again.folder(), path);
        for folder in [again.folder(), again.out()] {
            assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
        }
        assert_eq!(again.spare().len(), 3);
        assert!(pool.trash.folder().unwrap().join("1").exists(), "both files are in the trash");
        again.make_folder(&again.folder().join("x/y")).unwrap();
        again.make_folder(&again.folder().join("x/y")).unwrap();
        assert!(again.folder().join("x/y").is_dir());
        let other = pool.take().unwrap();
        assert_ne!(other.folder(), path, "the first is in use");
        drop((again, other, pool));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_trash_does_not_grow_beyond_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(dir.path().to_path_buf());
        for _ in 0..8 {
            let scratch = pool.take().unwrap();
            for file in 0..10 {
                fs::write(scratch.folder().join(file.to_string()), vec![1; 1 << 20]).unwrap();
            }
            pool.give_back(scratch);
        }
        let discarded = fs::read_dir(pool.trash.folder().unwrap()).unwrap().count();
        assert!((60..70).contains(&discarded), "{discarded} MiB of 80");
    }

    #[test]
    fn the_first_folder_that_is_taken_clears_those_of_dead_processes() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join(format!("attempt-{}-1-x", matssl_base::machine::host_name()));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        let _scratch = Pool::new(dir.path().to_path_buf()).take().unwrap();
        assert!(!dead.exists());
    }
}
