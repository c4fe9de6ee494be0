//! What may be removed by the rules.

use super::super::disk_usage::disk_usage;
use super::super::folder::{files_in, folders_in};
use super::super::object_files::ObjectFile;
use super::super::past_runs::{PastRun, runs};
use super::super::scratch::{is_abandoned, is_of_this_host, is_private_folder};
use super::super::temporary_files::temporary_files;
use super::super::work_folder::{is_locked, key_of};
use super::super::{Amount, Digest, Key, Store, findings};
use super::known_records::{KnownRecord, KnownRecords, distinct_objects};
use super::removal::Removal;
use super::rules::Rules;
use super::sweep::{Dropped, Sweep};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unnamed objects and temporary files stay for this long, because a process may still be using them.
const HOUR: Duration = Duration::from_secs(3600);

/// Checkpoints, logs, findings and damaged files stay for this long if the rules do not say.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// The clocks of this machine, of other machines and of the file system may differ by this much.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// Finds what may be removed by `rules`.
///
/// # Errors
/// If the cache cannot be read.
pub(super) fn find(store: &Store, rules: &Rules) -> Result<Sweep> {
    let runs = runs(store)?;
    let mut finder = Finder::new(store, rules, &runs);
    let known = KnownRecords::read(store, rules, &runs, &finder.held_keys, finder.oldest_live)?;
    let objects = store.object_files()?;
    let mut references = known.references();
    finder.find_unnamed(&objects, &references);
    finder.find_records(&known, &objects, &mut references);
    finder.find_objects(&objects, &references);
    finder.find_work()?;
    finder.find_runs(&runs);
    finder.find_leftovers()?;
    Ok(finder.sweep)
}

/// What was found so far, and what decides.
struct Finder<'f> {
    store: &'f Store,
    rules: &'f Rules,
    /// Start of the oldest live run.
    oldest_live: Option<SystemTime>,
    /// Keys in the event logs of live runs.
    held_keys: BTreeSet<Key>,
    hour_ago: SystemTime,
    /// What is older, and not a record, is old by the rules.
    limit: SystemTime,
    sweep: Sweep,
}

impl<'f> Finder<'f> {
    fn new(store: &'f Store, rules: &'f Rules, runs: &[PastRun]) -> Self {
        let live = || runs.iter().filter(|run| run.is_live);
        let oldest_live = live().map(|run| UNIX_EPOCH + Duration::from_secs(run.started)).min();
        let ago = |age| rules.now.checked_sub(age).unwrap_or(UNIX_EPOCH);
        Finder {
            store,
            rules,
            oldest_live: oldest_live.map(|start| start.checked_sub(CLOCK_DIFFERENCE).unwrap_or(UNIX_EPOCH)),
            held_keys: live().flat_map(|run| run.keys.keys().copied()).collect(),
            hour_ago: ago(HOUR),
            limit: ago(rules.older_than.unwrap_or(MONTH)),
            sweep: Sweep { live_runs: live().count(), ..Sweep::default() },
        }
    }

    /// Whether a live run may have changed a file at this time, or nobody knows when it was changed.
    fn is_live(&self, modified: Option<SystemTime>) -> bool {
        self.oldest_live.is_some_and(|start| !is_before(modified, start))
    }

    /// Objects that no record names.
    fn find_unnamed(&mut self, objects: &[ObjectFile], references: &HashMap<Digest, usize>) {
        for object in objects {
            let is_named = object.digest.is_some_and(|digest| references.contains_key(&digest));
            if !is_named && is_before(object.modified, self.hour_ago) && !self.is_live(object.modified) {
                self.sweep.unnamed += object.size;
                self.remove_object(object, "no record names this object");
            }
        }
    }

    fn remove_object(&mut self, object: &ObjectFile, reason: &'static str) {
        self.sweep.removals.objects.push(Removal { path: object.path.clone(), reason });
    }

    /// Records that the rules select. Takes them off the `references` to objects.
    fn find_records(&mut self, known: &KnownRecords, objects: &[ObjectFile], references: &mut HashMap<Digest, usize>) {
        let sizes: HashMap<Digest, u64> =
            objects.iter().filter_map(|object| Some((object.digest?, object.size))).collect();
        let mut total = objects.iter().map(|object| object.size).sum::<u64>() - self.sweep.unnamed.bytes;
        let (held, free): (Vec<_>, Vec<_>) =
            known.candidates(self.rules).into_iter().partition(|&index| known.records[index].is_held);
        self.sweep.held = held.len();
        for index in free {
            if self.rules.max_size.is_some_and(|most| total <= most) {
                break;
            }
            let KnownRecord { record, used_at, .. } = &known.records[index];
            let mut bytes = 0;
            for digest in distinct_objects(record) {
                let left = references.entry(digest).or_insert(1);
                *left -= 1;
                if *left == 0 {
                    bytes += sizes.get(&digest).copied().unwrap_or(0);
                }
            }
            total -= bytes;
            let path = self.store.record_file(record.key);
            self.sweep.removals.records.push(Removal { path, reason: "the rules select this record" });
            let (stage, kind) = (record.made.stage.clone(), record.material.kind.clone());
            self.sweep.records.push(Dropped { key: record.key, stage, kind, used_at: *used_at, bytes });
        }
        self.sweep.stays = Amount { count: known.records.len() - self.sweep.records.len(), bytes: total };
    }

    /// Objects that only records name which are removed.
    fn find_objects(&mut self, objects: &[ObjectFile], references: &HashMap<Digest, usize>) {
        for object in objects {
            let has_lost_records = object.digest.is_some_and(|digest| references.get(&digest) == Some(&0));
            if has_lost_records && !self.is_live(object.modified) {
                self.sweep.objects += object.size;
                self.remove_object(object, "the records that name this object are removed");
            }
        }
    }

    /// Folders in `work/` that no process uses.
    fn find_work(&mut self) -> Result<()> {
        for folder in folders_in(&self.store.folder("work"))? {
            match key_of(&folder) {
                Some(key) => self.find_work_of(key, folder),
                None => self.find_private(folder),
            }
        }
        Ok(())
    }

    fn find_private(&mut self, folder: PathBuf) {
        let usage = disk_usage(&folder);
        // A stage on another host may not touch its folder for days, and its lock may not be seen here.
        let limit = if is_of_this_host(&folder) { self.hour_ago } else { self.limit };
        if is_private_folder(&folder) && is_abandoned(&folder) && is_before(usage.newest, limit) {
            self.sweep.work += usage.files.bytes;
            let reason = "the process of this private folder has ended";
            self.sweep.removals.others.push(Removal { path: folder, reason });
        }
    }

    fn find_work_of(&mut self, key: Key, folder: PathBuf) {
        if self.held_keys.contains(&key) || is_locked(&folder.with_extension("lock")) {
            return;
        }
        let usage = disk_usage(&folder);
        // A checkpoint may hold a week of training: it goes only when it is old or its stage is finished.
        let is_checkpoint_needed =
            disk_usage(&folder.join("checkpoint")).files.count > 0 && self.store.find(key).is_none();
        let limit = if is_checkpoint_needed { self.limit } else { self.hour_ago };
        if usage.newest.unwrap_or(UNIX_EPOCH) < limit {
            self.sweep.work += usage.files.bytes;
            self.sweep.removals.work.push(folder);
        }
    }

    /// Logs of old runs, except the last run of each experiment, which `status` shows however old it is.
    fn find_runs(&mut self, runs: &[PastRun]) {
        let folder = self.store.folder("runs");
        let of_runs = runs.iter().filter(|run| run.path.starts_with(&folder));
        let newest: BTreeMap<&str, &Path> = of_runs.map(|run| (run.experiment.as_str(), run.path.as_path())).collect();
        for run in runs.iter().filter(|run| !run.is_live && run.modified < self.limit) {
            if newest.get(run.experiment.as_str()) != Some(&run.path.as_path()) {
                self.sweep.runs += disk_usage(&run.path).files.bytes;
                self.sweep.removals.others.push(Removal { path: run.path.clone(), reason: "an old run" });
            }
        }
    }

    /// Temporary files, unused findings, free locks, and damaged files.
    fn find_leftovers(&mut self) -> Result<()> {
        let temporary = temporary_files(self.store)?;
        let found = files_in(&self.store.folder(findings::FOLDER))?.into_iter();
        let found: Vec<_> = found.filter(|path| !temporary.contains(path)).collect();
        let mut locks = files_in(&self.store.folder("work"))?;
        locks.retain(|lock| !is_locked(lock));
        let damaged = files_in(&self.store.folder("damaged"))?;
        for (paths, limit, reason) in [
            (temporary, self.hour_ago, "a temporary file that no process uses"),
            (found, self.limit, "a finding that was not used for long"),
            (locks, self.hour_ago, "a lock that no process holds"),
            (damaged, self.limit, "an old damaged file"),
        ] {
            for path in paths {
                let usage = disk_usage(&path);
                if is_before(usage.newest, limit) {
                    self.sweep.leftovers += usage.files.bytes;
                    self.sweep.removals.others.push(Removal { path, reason });
                }
            }
        }
        Ok(())
    }
}

/// Whether a file is known to have been changed before `limit`.
fn is_before(modified: Option<SystemTime>, limit: SystemTime) -> bool {
    modified.is_some_and(|at| at < limit)
}
