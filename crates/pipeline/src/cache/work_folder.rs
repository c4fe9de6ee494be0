//! A stage in progress: one attempt at a time, whose files are private, and checkpoints that survive attempts.

use super::scratch::{Pool, Scratch};
use super::{Digest, Key};
use anyhow::{Context as _, Result};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tracing::debug;

/// What exists of one key before its stage is finished: `work/<key>.lock`, and `work/<key>/checkpoint/` if it trains.
#[derive(Clone, Debug)]
pub struct WorkFolder {
    path: PathBuf,
    pool: Arc<Pool>,
}

/// One process's attempt at a stage, in a private folder. The folder goes back to the process's pool at the end.
#[derive(Debug)]
pub struct Attempt {
    scratch: Arc<Scratch>,
    /// The lock on a lock file that existed already; `None` if the private folder's own locked file is linked there. The
    /// system releases both when the process ends.
    lock: Option<File>,
}

impl WorkFolder {
    pub(super) fn new(path: PathBuf, pool: Arc<Pool>) -> Self {
        WorkFolder { path, pool }
    }

    /// The folder for checkpoints of this key, which survive attempts. It is made with the first checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// When the newest file of its checkpoint was written; `None` without one.
    pub fn newest_checkpoint(&self) -> Option<SystemTime> {
        let files = fs::read_dir(self.checkpoint()).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().and_then(|file| file.modified()).ok()).max()
    }

    fn lock_file(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    /// Starts an attempt; `None` while another process holds the lock. On file systems without locks two processes may work at
    /// once: each has its own folder, and the first record wins.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn begin(&self) -> Result<Option<Attempt>> {
        self.try_begin().with_context(|| format!("cannot work in {}", self.path.display()))
    }

    fn try_begin(&self) -> io::Result<Option<Attempt>> {
        let path = self.lock_file();
        match File::options().write(true).open(&path) {
            Ok(lock) => self.take_over(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let scratch = self.pool.take()?;
                match fs::hard_link(scratch.claim(), &path) {
                    Ok(()) => Ok(Some(Attempt { scratch, lock: None })),
                    Err(error) => {
                        self.pool.give_back(scratch);
                        if error.kind() == io::ErrorKind::AlreadyExists {
                            return Ok(None);
                        }
                        // A file system without hard links.
                        self.take_over(File::create(&path)?)
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Starts an attempt with a lock file that exists, if no other process holds its lock.
    fn take_over(&self, lock: File) -> io::Result<Option<Attempt>> {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        // If the file was removed between opening and locking, this lock keeps no other process out.
        if !fs::metadata(self.lock_file()).is_ok_and(|file| lock.metadata().is_ok_and(|lock| lock.ino() == file.ino()))
        {
            return Ok(None);
        }
        debug!(lock = %self.lock_file().display(), "took over the lock of an attempt that ended");
        Ok(Some(Attempt { scratch: self.pool.take()?, lock: Some(lock) }))
    }

    /// Ends `attempt` after its record was written: removes checkpoints and lock file. The lock is held until then, so that
    /// nothing disappears under the process that gets it next.
    pub fn remove(&self, attempt: Attempt) {
        let Attempt { scratch, lock } = attempt;
        // Only trainings have this folder, and a look for it is cheap.
        if self.path.exists() {
            let _ = fs::remove_dir_all(&self.path);
        }
        let _ = fs::remove_file(self.lock_file());
        drop(lock);
        self.pool.give_back(scratch);
    }

    /// Ends `attempt` without a record: checkpoints stay.
    pub fn give_up(&self, attempt: Attempt) {
        let Attempt { scratch, lock } = attempt;
        let _ = fs::remove_file(self.lock_file());
        drop(lock);
        self.pool.give_back(scratch);
    }
}

impl Attempt {
    /// The attempt's private folder.
    pub fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }

    /// The empty folder that the stage fills.
    pub fn out(&self) -> PathBuf {
        self.scratch.out()
    }
}

/// The key in the name of a folder in `work/`; `None` for a private folder.
pub(super) fn key_of(folder: &Path) -> Option<Key> {
    Some(Key(folder.file_name()?.to_str()?.parse::<Digest>().ok()?))
}

/// Whether a process holds the lock file at `path`.
pub(super) fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(dir: &tempfile::TempDir) -> WorkFolder {
        WorkFolder::new(dir.path().join("key"), Arc::new(Pool::new(dir.path().to_path_buf())))
    }

    #[test]
    fn one_attempt_runs_at_a_time_and_checkpoints_survive_it() {
        let dir = tempfile::tempdir().unwrap();
        let work = work(&dir);
        let attempt = work.begin().unwrap().unwrap();
        assert!(work.begin().unwrap().is_none(), "the lock is held");
        fs::write(attempt.out().join("half"), "x").unwrap();
        fs::create_dir_all(work.checkpoint()).unwrap();
        fs::write(work.checkpoint().join("c"), "x").unwrap();
        work.give_up(attempt);
        let next = work.begin().unwrap().unwrap();
        assert_eq!(fs::read_dir(next.out()).unwrap().count(), 0);
        assert!(work.checkpoint().join("c").exists());
    }

    #[test]
    fn a_finished_attempt_leaves_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let work = work(&dir);
        let attempt = work.begin().unwrap().unwrap();
        fs::write(attempt.out().join("half"), "x").unwrap();
        fs::create_dir_all(work.checkpoint()).unwrap();
        work.remove(attempt);
        drop(work);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// Several threads, each of which removes the lock file at its end: none fails, and never do two work at a time.
    #[test]
    fn removing_the_lock_file_does_not_disturb_those_that_wait_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let busy = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let work = work(&dir);
                    let mut done = 0;
                    while done < 50 {
                        let Some(attempt) = work.begin().unwrap() else { continue };
                        assert!(!busy.swap(true, std::sync::atomic::Ordering::SeqCst));
                        fs::create_dir_all(work.checkpoint()).unwrap();
                        fs::write(work.checkpoint().join("c"), "x").unwrap();
                        fs::write(attempt.out().join("o"), "x").unwrap();
                        busy.store(false, std::sync::atomic::Ordering::SeqCst);
                        work.remove(attempt);
                        done += 1;
                    }
                });
            }
        });
    }
}
