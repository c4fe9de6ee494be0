//! The gate: locks that keep `gc` from removing what a run is about to use.
//!
//! Correctness does not rest on them: without them a stage that lost its input runs again. They make `gc` invisible to a running
//! experiment.
//! - A run that looks up a record to use it holds the gate shared until the use is in its event log (`runs/<run>/events.jsonl`:
//!   any line with a `key`). A process that publishes holds it shared from its first object to its record.
//! - `gc` holds the gate exclusively while it looks and deletes. It keeps every key in the event logs of living runs.

use super::Store;
use std::fs::{File, TryLockError};
use std::io;
use std::time::{Duration, Instant};
use tracing::debug;

/// A hold on the gate. It ends when this is dropped.
#[derive(Debug)]
pub struct Gate {
    /// `None` on file systems without locks, and in a cache that cannot be written: nothing can be removed there.
    _lock: Option<File>,
}

/// The result of an attempt to hold the gate exclusively.
#[derive(Debug)]
pub(super) enum Exclusive {
    Held(Gate),
    /// Others held it all the time.
    Busy,
    /// The file system has no locks.
    NoLocks,
}

/// How long `gc` makes new holders wait at a time, until the present ones have left.
const TURN: Duration = Duration::from_secs(2);

impl Gate {
    /// A hold that others may share. Waits while `gc` deletes, which takes seconds.
    ///
    /// # Errors
    /// If the lock files cannot be opened for another reason than a read-only cache.
    pub fn shared(store: &Store) -> io::Result<Gate> {
        // Two locks, one after the other: `gc` closes the first, and gets its turn however many runs there are.
        let turnstile = open(store, "gate.next")?;
        if !turnstile.as_ref().is_some_and(|turnstile| lock_shared(turnstile, "gate.next")) {
            return Ok(Gate { _lock: None });
        }
        let lock = open(store, "gate")?.filter(|gate| lock_shared(gate, "gate"));
        Ok(Gate { _lock: lock })
    }

    /// A hold that no other process shares. Gives up after `patience`.
    pub(super) fn exclusive(store: &Store, patience: Duration) -> io::Result<Exclusive> {
        let (Some(turnstile), Some(gate)) = (open(store, "gate.next")?, open(store, "gate")?) else {
            return Ok(Exclusive::NoLocks);
        };
        let since = Instant::now();
        loop {
            if turnstile.lock().is_err() {
                return Ok(Exclusive::NoLocks);
            }
            let turn = Instant::now();
            loop {
                match gate.try_lock() {
                    Ok(()) => return Ok(Exclusive::Held(Gate { _lock: Some(gate) })),
                    Err(TryLockError::Error(_)) => return Ok(Exclusive::NoLocks),
                    Err(TryLockError::WouldBlock) => {}
                }
                if turn.elapsed() >= TURN.min(patience) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            // A run that hashes a large data set holds the gate for minutes; meanwhile other runs may pass.
            turnstile.unlock()?;
            if since.elapsed() >= patience {
                return Ok(Exclusive::Busy);
            }
            debug!(waited = ?since.elapsed(), "gc waits for runs that hold the gate");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Waits for a shared lock; false where locks do not work.
fn lock_shared(file: &File, name: &str) -> bool {
    match file.try_lock_shared() {
        Ok(()) => true,
        Err(TryLockError::Error(_)) => false,
        Err(TryLockError::WouldBlock) => {
            let since = Instant::now();
            debug!(lock = name, "waiting at the gate until gc has finished");
            let is_locked = file.lock_shared().is_ok();
            debug!(lock = name, waited = ?since.elapsed(), "passed the gate");
            is_locked
        }
    }
}

/// Opens a lock file; `None` in a cache that cannot be written and has no such file.
fn open(store: &Store, name: &str) -> io::Result<Option<File>> {
    let path = store.folder(name);
    match File::options().read(true).write(true).create(true).truncate(false).open(&path) {
        Ok(file) => Ok(Some(file)),
        // Another user's cache: locking needs no permission to write.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            Ok(File::open(&path).ok())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::empty_cache;
    use super::*;

    #[test]
    fn an_exclusive_hold_waits_for_all_shared_ones() {
        let (_dir, store) = empty_cache();
        let (a, b) = (Gate::shared(&store).unwrap(), Gate::shared(&store).unwrap());
        assert!(matches!(Gate::exclusive(&store, Duration::ZERO).unwrap(), Exclusive::Busy));
        drop((a, b));
        let Exclusive::Held(exclusive) = Gate::exclusive(&store, Duration::ZERO).unwrap() else {
            panic!("no other holds it")
        };
        let waiting = std::thread::spawn({
            let store = store.clone();
            move || drop(Gate::shared(&store).unwrap())
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        drop(exclusive);
        waiting.join().unwrap();
    }

    /// Eight threads hold it by turns, so that it is never free; `gc` gets it all the same.
    #[test]
    fn shared_holds_do_not_starve_an_exclusive_one() {
        let (_dir, store) = empty_cache();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        let _gate = Gate::shared(&store).unwrap();
                        std::thread::sleep(Duration::from_millis(3));
                    }
                });
            }
            for _ in 0..20 {
                assert!(matches!(Gate::exclusive(&store, Duration::from_secs(20)).unwrap(), Exclusive::Held(_)));
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
