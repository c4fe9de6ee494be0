//! A stage in progress: a lock that spares double work, checkpoints that survive, attempts that are private.

use super::scratch::{Pool, Scratch};
use anyhow::{Context as _, Result};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// What is there of one key before it is finished: `work/<key>.lock`, and `work/<key>/checkpoint/` if it trains.
#[derive(Clone, Debug)]
pub struct WorkFolder {
    path: PathBuf,
    pool: Arc<Pool>,
}

/// One process's private try at a stage. Its folder goes back to the process's pool when it ends.
#[derive(Debug)]
pub struct Attempt {
    scratch: Arc<Scratch>,
    /// A lock file that somebody has left behind, or none where the folder's own is linked there. The system releases
    /// either however the process ends.
    lock: Option<File>,
}

impl WorkFolder {
    pub(super) fn new(path: PathBuf, pool: Arc<Pool>) -> Self {
        WorkFolder { path, pool }
    }

    /// Where checkpoints of this key are kept between attempts: whoever writes the first makes the folder.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    fn lock_file(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    /// Starts an attempt, or returns `None` while another process holds the lock. On file systems without locks two may
    /// work at once; each has its own folder, and the first record wins.
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
                        // A file system without links.
                        self.take_over(File::create(&path)?)
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Claims by `lock`, the lock file that is there.
    fn take_over(&self, lock: File) -> io::Result<Option<Attempt>> {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        // A lock on a file that was removed between opening and locking keeps nobody else out.
        if !fs::metadata(self.lock_file()).is_ok_and(|file| lock.metadata().is_ok_and(|lock| lock.ino() == file.ino()))
        {
            return Ok(None);
        }
        Ok(Some(Attempt { scratch: self.pool.take()?, lock: Some(lock) }))
    }

    /// Ends `attempt` once the record is written, and removes the lock file and the checkpoints. All that while the lock
    /// is held: whoever gets it next sees nothing disappear.
    pub fn remove(&self, attempt: Attempt) {
        let Attempt { scratch, lock } = attempt;
        // Only a training has one, and finding none is cheap.
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
    /// The attempt's own folders.
    pub fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }

    /// The empty folder that the stage fills.
    pub fn out(&self) -> PathBuf {
        self.scratch.out()
    }
}

/// This machine's name, for attempt folders and provenance.
pub fn host_name() -> String {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(read_host_name).clone()
}

fn read_host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(dir: &tempfile::TempDir) -> WorkFolder {
        WorkFolder::new(dir.path().join("key"), Arc::new(Pool::new(dir.path().to_path_buf())))
    }

    #[test]
    fn one_attempt_at_a_time_and_checkpoints_outlive_it() {
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
    fn a_finished_one_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let work = work(&dir);
        let attempt = work.begin().unwrap().unwrap();
        fs::write(attempt.out().join("half"), "x").unwrap();
        fs::create_dir_all(work.checkpoint()).unwrap();
        work.remove(attempt);
        drop(work);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// Many at once, each removing the lock file when done: nobody fails, and never do two work at a time.
    #[test]
    fn whoever_waits_while_the_lock_is_removed_is_not_disturbed() {
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
