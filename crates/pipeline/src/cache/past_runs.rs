//! The runs of this cache, as their folders and event logs tell: what `gc` keeps and what the forecast learns from.

use super::folder::{files_in, folders_in};
use super::life::{Life, life};
use super::{Key, Store};
use crate::events::{EventKind, event_log_path, read_stage_keys};
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A run with a folder in `runs/`.
pub(super) struct PastRun {
    pub(super) path: PathBuf,
    /// Seconds since 1970, by the folder's name.
    pub(super) started: u64,
    pub(super) experiment: String,
    pub(super) is_live: bool,
    /// Every key that its event log names → when it did so last, in seconds since 1970.
    pub(super) keys: BTreeMap<Key, u64>,
    /// When the event log, or the folder if there is none, was last changed.
    pub(super) modified: SystemTime,
}

/// A run whose life is unknown counts as alive until its log was silent for this long.
const SILENCE: Duration = Duration::from_secs(24 * 3600);

/// All runs, oldest first.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn runs(store: &Store) -> Result<Vec<PastRun>> {
    let mut runs: Vec<_> = folders_in(&store.folder("runs"))?.into_iter().map(read_run).collect();
    runs.extend(folders_in(&store.folder("slurm")).unwrap_or_default().into_iter().filter_map(read_batch));
    runs.sort_by(|a, b| (a.started, &a.path).cmp(&(b.started, &b.path)));
    Ok(runs)
}

/// The run of this folder, whose name is `<seconds since 1970>-<experiment>-<process>`.
fn read_run(path: PathBuf) -> PastRun {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut parts = name.splitn(2, '-');
    let started = parts.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let rest = parts.next().unwrap_or_default();
    let experiment = rest.rsplit_once('-').map_or(rest, |(experiment, _)| experiment).to_owned();
    let modified = fs::metadata(event_log_path(&path)).or_else(|_| fs::metadata(&path));
    let modified = modified.and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let log = read_stage_keys(&path);
    let keys = log.mentions.iter().map(|mention| (mention.key, mention.milliseconds / 1000)).collect();
    let is_live = match life(&path) {
        Life::Alive => true,
        Life::Ended => false,
        Life::Unknown => {
            let is_silent = modified.elapsed().is_ok_and(|silent| silent > SILENCE);
            !is_silent && !log.run_finished
        }
    };
    PastRun { path, started, experiment, is_live, keys, modified }
}

/// A batch of Slurm jobs, which goes on without a run: it counts as one until all of its tasks have left their last message, or it
/// is old. (`exec/slurm` writes these files.)
fn read_batch(path: PathBuf) -> Option<PastRun> {
    /// A job does not wait longer.
    const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
    let read = |path: &Path| -> Option<Value> { serde_json::from_slice(&fs::read(path).ok()?).ok() };
    let facts = read(&path.join("batch.json"))?;
    let modified = fs::metadata(path.join("ended")).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let started = facts["made_at"].as_u64().unwrap_or(0);
    let (mut keys, mut is_live) = (BTreeMap::new(), false);
    for task in files_in(&path.join("tasks")).unwrap_or_default() {
        is_live |= !path.join("ended").join(task.file_name().unwrap_or_default()).exists();
        let Some(task) = read(&task) else { continue };
        let inputs = task["job"]["inputs"].as_array().into_iter().flatten().map(|input| &input["key"]);
        let named = inputs.chain([&task["key"]]).filter_map(|key| serde_json::from_value(key.clone()).ok());
        keys.extend(named.map(|key: Key| (key, started)));
    }
    is_live &= modified.elapsed().is_ok_and(|age| age < LONGEST);
    Some(PastRun { path, started, experiment: facts["experiment"].as_str()?.to_owned(), is_live, keys, modified })
}

/// Number of last runs that [`durations`] reads.
const LAST_RUNS: usize = 8;

/// How long stages took in the last runs, in seconds. This includes starting their processes and publishing, which their records
/// do not count.
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

#[cfg(test)]
mod tests {
    use super::super::fixtures::empty_cache;
    use super::super::{Alive, Digest};
    use super::*;

    #[test]
    fn a_duration_is_the_time_from_a_stage_s_start_to_its_end() {
        let (dir, store) = empty_cache();
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
    fn a_run_is_live_while_its_lock_is_held_or_if_unknown_until_its_log_ends() {
        let (dir, store) = empty_cache();
        let folder = dir.path().join("runs/1700000000-my-toy-42");
        fs::create_dir_all(&folder).unwrap();
        let (a, b) = (Key(Digest::of(b"a")), Key(Digest::of(b"b")));
        let mut log = format!(
            "{{\"at\":5000,\"event\":\"stage_hit\",\"stage\":\"s\",\"key\":\"{a}\"}}\n{{\"at\":1}}\n{{\"at\":9,\"key\":\"{b}"
        );
        fs::write(event_log_path(&folder), &log).unwrap();
        assert!(runs(&store).unwrap()[0].is_live, "no lock, but the log has no end");
        log += "\n{\"at\":9,\"event\":\"run_finished\"}\n";
        fs::write(event_log_path(&folder), &log).unwrap();
        assert!(!runs(&store).unwrap()[0].is_live, "no lock, and the log has an end");
        let alive = Alive::hold(&folder).unwrap();
        let run = runs(&store).unwrap().remove(0);
        assert_eq!((run.started, run.experiment.as_str(), run.is_live), (1_700_000_000, "my-toy", true));
        assert_eq!(run.keys, BTreeMap::from([(a, 5)]));
        drop(alive);
        assert!(!runs(&store).unwrap()[0].is_live);
    }
}
