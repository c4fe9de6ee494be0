//! A stage in progress: a lock that spares double work, checkpoints that survive, attempts that are private.

use anyhow::{Context as _, Result};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `work/<key>/`: everything that is not finished yet.
#[derive(Clone, Debug)]
pub struct WorkFolder {
    path: PathBuf,
}

/// One process's private try at a stage. Its folder goes when this is dropped.
#[derive(Debug)]
pub struct Attempt {
    folder: tempfile::TempDir,
    /// Held while the attempt lives; the system releases it however the process ends.
    lock: File,
}

impl WorkFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        WorkFolder { path }
    }

    /// Where checkpoints of this key are kept between attempts: whoever writes the first makes the folder.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Starts an attempt, or returns `None` while another process holds the lock or is just removing the folder. On
    /// file systems without locks two may work at once; each has its own folder, and the first record wins.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn begin(&self) -> Result<Option<Attempt>> {
        match self.try_begin() {
            // Another process that has finished takes these folders away under our feet, even between the system's
            // "exists" and our look at what exists.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => Ok(None),
            result => result.with_context(|| format!("cannot work in {}", self.path.display())),
        }
    }

    fn try_begin(&self) -> io::Result<Option<Attempt>> {
        fs::create_dir_all(&self.path)?;
        let lock = File::create(self.lock_file())?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        // A lock on a file that was removed between opening and locking keeps nobody else out.
        if fs::metadata(self.lock_file())?.ino() != lock.metadata()?.ino() {
            return Ok(None);
        }
        self.remove_dead_attempts()?;
        let prefix = format!("attempt-{}-{}-", host_name(), std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&self.path)?;
        fs::create_dir(folder.path().join("out"))?;
        Ok(Some(Attempt { folder, lock }))
    }

    /// Removes what killed processes of this host left. Those of other hosts may be alive where locks do not work.
    fn remove_dead_attempts(&self) -> io::Result<()> {
        let mine = format!("attempt-{}-", host_name());
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let pid = name.strip_prefix(&mine).and_then(|rest| rest.split('-').next()?.parse().ok());
            if pid.is_some_and(|pid| !is_alive(pid)) {
                fs::remove_dir_all(&path)?;
            }
        }
        Ok(())
    }

    /// Ends `attempt` once the record is written, and removes the folder with its checkpoints; where another attempt
    /// lives in it (possible without locks only), that one is left alone. All that while the lock is held: whoever
    /// gets it next sees nothing disappear.
    pub fn remove(&self, attempt: Attempt) {
        let Attempt { folder, lock } = attempt;
        drop(folder);
        let _ = fs::remove_dir_all(self.checkpoint());
        let _ = fs::remove_file(self.lock_file());
        let _ = fs::remove_dir(&self.path);
        drop(lock);
    }
}

impl Attempt {
    /// The attempt's own folder, for what is no output.
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The empty folder that the stage fills.
    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }
}

fn is_alive(pid: i32) -> bool {
    // The process table of Linux; elsewhere everything counts as alive and is left for `gc`.
    !Path::new("/proc/self").exists() || Path::new("/proc").join(pid.to_string()).exists()
}

/// This machine's name, for attempt folders and provenance.
pub fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_at_a_time_and_checkpoints_outlive_it() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkFolder::new(dir.path().join("key"));
        let attempt = work.begin().unwrap().unwrap();
        assert!(work.begin().unwrap().is_none(), "the lock is held");
        fs::write(attempt.out().join("half"), "x").unwrap();
        fs::create_dir(work.checkpoint()).unwrap();
        fs::write(work.checkpoint().join("c"), "x").unwrap();
        drop(attempt);
        let next = work.begin().unwrap().unwrap();
        assert_eq!(fs::read_dir(next.out()).unwrap().count(), 0);
        assert!(work.checkpoint().join("c").exists());
    }

    #[test]
    fn removing_leaves_nothing_and_spares_other_attempts() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkFolder::new(dir.path().join("key"));
        let attempt = work.begin().unwrap().unwrap();
        fs::write(attempt.out().join("half"), "x").unwrap();
        work.remove(attempt);
        assert!(!dir.path().join("key").exists());
        let attempt = work.begin().unwrap().unwrap();
        let foreign = dir.path().join("key/attempt-elsewhere-1-x/out");
        fs::create_dir_all(&foreign).unwrap();
        work.remove(attempt);
        assert!(foreign.exists());
    }

    /// Many at once, each removing the folder when done: nobody fails, and never do two work at a time.
    #[test]
    fn whoever_waits_while_the_folder_is_removed_is_not_disturbed() {
        let dir = tempfile::tempdir().unwrap();
        let busy = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let work = WorkFolder::new(dir.path().join("key"));
                    let mut done = 0;
                    while done < 50 {
                        let Some(attempt) = work.begin().unwrap() else { continue };
                        assert!(!busy.swap(true, std::sync::atomic::Ordering::SeqCst));
                        fs::create_dir(work.checkpoint()).unwrap();
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

    #[test]
    fn what_a_dead_process_left_is_cleared_and_what_another_host_left_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkFolder::new(dir.path().to_path_buf());
        let dead = dir.path().join(format!("attempt-{}-999999999-x", host_name()));
        let foreign = dir.path().join("attempt-elsewhere-999999999-x");
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&foreign).unwrap();
        let _attempt = work.begin().unwrap().unwrap();
        assert!(!dead.exists() && foreign.exists());
    }
}
