//! Whether a run's process lives: `runs/<run>/alive` is locked while it does. The system unlocks it however the process ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// The lock by which other processes see that a run's process lives.
#[derive(Debug)]
pub struct Alive {
    _lock: File,
}

impl Alive {
    /// Makes and locks `alive` in a run's folder. Where locks do not work, only the event log tells whether the run goes on.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn hold(run: &Path) -> io::Result<Alive> {
        let lock = File::create(run.join("alive"))?;
        // Not `try_lock`, because another process may hold it for a moment to see whether it is free.
        let _ = lock.lock();
        Ok(Alive { _lock: lock })
    }
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process lives.
    Alive,
    /// Its process has ended, in whatever way.
    Ended,
    /// Locks do not work here, or an older program made the run.
    Unknown,
}

/// Whether the run of this folder goes on, by its lock. The question does not disturb the run.
pub fn life(run: &Path) -> Life {
    let Ok(file) = File::open(run.join("alive")) else { return Life::Unknown };
    match file.try_lock_shared() {
        Ok(()) => Life::Ended,
        Err(TryLockError::WouldBlock) => Life::Alive,
        Err(TryLockError::Error(_)) => Life::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_lives_while_its_lock_is_held() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(life(run.path()), Life::Unknown);
        let alive = Alive::hold(run.path()).unwrap();
        assert_eq!(life(run.path()), Life::Alive);
        drop(alive);
        assert_eq!(life(run.path()), Life::Ended);
    }
}
