//! What keeps `gc` from taking away what a run is about to need: the gate, and a run's sign of life.
//!
//! Correctness does not rest on these locks: without them a stage that lost its input runs again. They make `gc` beside a
//! running experiment invisible to it.
//! - Whoever looks a record up to use it holds the gate shared until that use is written down in its run's event log
//!   (`runs/<run>/events.jsonl`, any line with a `key`); whoever publishes holds it from its first object to its record.
//! - `gc` holds the gate alone while it looks and deletes, and spares every key in the event logs of live runs.
//! - A run lives as long as `runs/<run>/alive` is locked; the system unlocks it however the process ends.

use super::listing::folders_in;
use super::{Digest, Key, Store};
use crate::events::{EventKind, event_log_path, read_stage_keys};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A hold on the gate; it ends when this is dropped.
#[derive(Debug)]
pub struct Gate {
    /// `None` on file systems without locks, and in a cache that cannot be written: nothing can be dropped there.
    _lock: Option<File>,
}

/// What came of trying to have the gate alone.
#[derive(Debug)]
pub(super) enum Alone {
    Held(Gate),
    /// Others hold it all the time.
    Busy,
    /// The file system has no locks.
    NoLocks,
}

/// How long newcomers are kept waiting at a time for those that hold the gate to leave it.
const TURN: Duration = Duration::from_secs(2);

impl Gate {
    /// A hold that others may have, too. Waits while `gc` deletes (seconds).
    ///
    /// # Errors
    /// If the lock files cannot be opened for another reason than a read-only cache.
    pub fn shared(store: &Store) -> io::Result<Gate> {
        // Through the turnstile, so that `gc` gets its turn however many runs there are.
        let Some(turnstile) = open(store, "gate.next")? else { return Ok(Gate { _lock: None }) };
        if turnstile.lock_shared().is_err() {
            return Ok(Gate { _lock: None });
        }
        let lock = open(store, "gate")?.filter(|gate| gate.lock_shared().is_ok());
        Ok(Gate { _lock: lock })
    }

    /// A hold that nobody else has. Gives up after `patience`.
    pub(super) fn alone(store: &Store, patience: Duration) -> io::Result<Alone> {
        let (Some(turnstile), Some(gate)) = (open(store, "gate.next")?, open(store, "gate")?) else {
            return Ok(Alone::NoLocks);
        };
        let since = Instant::now();
        loop {
            // A run that hashes a big data set holds the gate for minutes: others must not wait for it, too.
            if turnstile.lock().is_err() {
                return Ok(Alone::NoLocks);
            }
            let turn = Instant::now();
            loop {
                match gate.try_lock() {
                    Ok(()) => return Ok(Alone::Held(Gate { _lock: Some(gate) })),
                    Err(TryLockError::Error(_)) => return Ok(Alone::NoLocks),
                    Err(TryLockError::WouldBlock) => {}
                }
                if turn.elapsed() >= TURN.min(patience) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            turnstile.unlock()?;
            if since.elapsed() >= patience {
                return Ok(Alone::Busy);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The lock file `name`; `None` in a cache that cannot be written and has none.
fn open(store: &Store, name: &str) -> io::Result<Option<File>> {
    let path = store.folder(name);
    match File::options().read(true).write(true).create(true).truncate(false).open(&path) {
        Ok(file) => Ok(Some(file)),
        // Another user's: locking takes no right to write.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            Ok(File::open(&path).ok())
        }
        Err(error) => Err(error),
    }
}

/// A run's sign of life.
#[derive(Debug)]
pub struct Alive {
    _lock: File,
}

impl Alive {
    /// Makes and locks `alive` in a run's folder. Where there are no locks, the event log alone tells.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn hold(run: &Path) -> io::Result<Alive> {
        let lock = File::create(run.join("alive"))?;
        // Its folder is its own: nobody else has reason to hold this for longer than a look, but somebody may just look.
        let _ = lock.lock();
        Ok(Alive { _lock: lock })
    }
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process lives.
    Alive,
    /// It has ended, however.
    Ended,
    /// There are no locks here, or it is the run of an older program.
    Unknown,
}

/// Whether the run of this folder goes on, by its lock. Asking disturbs nobody.
pub fn life(run: &Path) -> Life {
    let Ok(file) = File::open(run.join("alive")) else { return Life::Unknown };
    match file.try_lock_shared() {
        Ok(()) => Life::Ended,
        Err(TryLockError::WouldBlock) => Life::Alive,
        Err(TryLockError::Error(_)) => Life::Unknown,
    }
}

/// A folder in `runs/`.
pub(super) struct RunFolder {
    pub(super) path: PathBuf,
    /// Seconds since 1970, as its name says.
    pub(super) started: u64,
    pub(super) experiment: String,
    pub(super) live: bool,
    /// Every key that its event log names → when it did last, in seconds since 1970.
    pub(super) keys: BTreeMap<Key, u64>,
    /// Of its event log, or of the folder.
    pub(super) modified: SystemTime,
}

/// A silent run of which no lock tells counts as alive for so long.
const SILENCE: Duration = Duration::from_secs(24 * 3600);

/// All runs whose folders are there, oldest first.
pub(super) fn runs(store: &Store) -> Result<Vec<RunFolder>> {
    let mut runs = Vec::new();
    for path in folders_in(&store.folder("runs"))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut parts = name.splitn(2, '-');
        let started = parts.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        let rest = parts.next().unwrap_or_default();
        let experiment = rest.rsplit_once('-').map_or(rest, |(experiment, _)| experiment).to_owned();
        let modified = fs::metadata(event_log_path(&path)).or_else(|_| fs::metadata(&path));
        let modified = modified.and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let log = read_stage_keys(&path);
        let keys = log.mentions.iter().map(|mention| (mention.key, mention.milliseconds / 1000)).collect();
        let live = match life(&path) {
            Life::Alive => true,
            Life::Ended => false,
            Life::Unknown => {
                let silent = modified.elapsed().is_ok_and(|silent| silent > SILENCE);
                !silent && !log.run_finished
            }
        };
        runs.push(RunFolder { path, started, experiment, live, keys, modified });
    }
    runs.sort_by(|a, b| (a.started, &a.path).cmp(&(b.started, &b.path)));
    Ok(runs)
}

/// How many of the last runs [`durations`] looks at.
const LAST_RUNS: usize = 8;

/// What stages took as the last runs saw it, in seconds: with the start of their process and with publishing, which
/// their records do not count.
pub fn durations(store: &Store) -> BTreeMap<Key, f64> {
    let mut folders = folders_in(&store.folder("runs")).unwrap_or_default();
    folders.sort_by_cached_key(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
    let mut durations = BTreeMap::new();
    for folder in folders.iter().rev().take(LAST_RUNS).rev() {
        let mut started = BTreeMap::new();
        for mention in read_stage_keys(folder).mentions {
            match mention.kind {
                EventKind::StageStarted => drop(started.insert(mention.key, mention.milliseconds)),
                EventKind::StageFinished => {
                    let since = started.get(&mention.key).and_then(|since| mention.milliseconds.checked_sub(*since));
                    durations.extend(since.map(|milliseconds| (mention.key, milliseconds as f64 / 1000.0)));
                }
                EventKind::RunFinished | EventKind::Other => {}
            }
        }
    }
    durations
}

/// The key that a folder of `work/` is called by.
pub(super) fn key_of(folder: &Path) -> Option<Key> {
    Some(Key(folder.file_name()?.to_str()?.parse::<Digest>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_share_the_gate_and_one_alone_waits_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (a, b) = (Gate::shared(&store).unwrap(), Gate::shared(&store).unwrap());
        assert!(matches!(Gate::alone(&store, Duration::ZERO).unwrap(), Alone::Busy));
        drop((a, b));
        let Alone::Held(alone) = Gate::alone(&store, Duration::ZERO).unwrap() else { panic!("nobody holds it") };
        let waiting = std::thread::spawn({
            let store = store.clone();
            move || drop(Gate::shared(&store).unwrap())
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        drop(alone);
        waiting.join().unwrap();
    }

    /// Eight that hold it in turns, so that somebody always does, cannot keep `gc` out.
    #[test]
    fn a_crowd_does_not_starve_the_one_who_wants_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
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
                assert!(matches!(Gate::alone(&store, Duration::from_secs(20)).unwrap(), Alone::Held(_)));
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn durations_are_from_a_stage_s_start_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let folder = dir.path().join("runs/1-e-1");
        fs::create_dir_all(&folder).unwrap();
        let (a, b) = (Key(Digest::of(b"a")), Key(Digest::of(b"b")));
        let line =
            |at: u64, event: &str, key: Key| format!("{{\"at\":{at},\"event\":\"{event}\",\"key\":\"{key}\"}}\n");
        let log = [line(1000, "stage_started", a), line(1200, "stage_started", b), line(3500, "stage_finished", a)];
        fs::write(event_log_path(&folder), log.concat()).unwrap();
        assert_eq!(durations(&store), BTreeMap::from([(a, 2.5)]));
    }

    #[test]
    fn a_run_lives_as_long_as_its_lock_and_its_keys_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let folder = dir.path().join("runs/1700000000-my-toy-42");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(life(&folder), Life::Unknown);
        let (a, b) = (Key(Digest::of(b"a")), Key(Digest::of(b"b")));
        let log = format!(
            "{{\"at\":5000,\"event\":\"stage_hit\",\"stage\":\"s\",\"key\":\"{a}\"}}\n{{\"at\":1}}\n{{\"at\":9,\"key\":\"{b}"
        );
        fs::write(event_log_path(&folder), log).unwrap();
        let alive = Alive::hold(&folder).unwrap();
        assert_eq!(life(&folder), Life::Alive);
        let found = runs(&store).unwrap().remove(0);
        assert_eq!((found.started, found.experiment.as_str(), found.live), (1_700_000_000, "my-toy", true));
        assert_eq!(found.keys, BTreeMap::from([(a, 5)]));
        drop(alive);
        assert_eq!(life(&folder), Life::Ended);
        assert!(!runs(&store).unwrap()[0].live);
    }
}
