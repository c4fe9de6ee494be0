//! What may go from a cache, and its going. Records first, then objects that no remaining record names.

use super::gate::{self, Alone, Gate};
use super::kept;
use super::listing::{RecordFile, files_in, folders_in};
use super::scratch;
use super::store::sync_folder;
use super::{Digest, Key, Record, Store};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which records may go. Each rule narrows: a record goes only if every given rule lets it. With none given, no record
/// goes, only leftovers do.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Not made or used since. A record is used when a run with something to do finds it, and when anything that rests on
    /// it is made or used.
    pub older_than: Option<Duration>,
    /// All but these and what they rest on.
    pub keep: Option<BTreeSet<Key>>,
    /// Least recently used first, and no more than needed for the objects to take at most so many bytes.
    pub max_size: Option<u64>,
    /// When the rules were made: younger records are spared.
    pub now: SystemTime,
}

/// Whether to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only say what would go.
    Look,
    /// Delete, safe beside running experiments.
    Delete,
    /// Delete although the file system has no locks: nobody may use the cache meanwhile.
    DeleteUnlocked,
}

/// A number of files and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: usize,
    /// In bytes.
    pub bytes: u64,
}

/// A record that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its key.
    pub key: Key,
    /// `experiment/stage` that it was made for.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// When it was last made or used, in seconds since 1970.
    pub used_at: u64,
    /// What its going frees: objects that no remaining record names.
    pub bytes: u64,
}

/// What goes and what stays.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Records that go, least recently used first.
    pub records: Vec<Dropped>,
    /// Their objects.
    pub objects: Amount,
    /// Objects that no record named, older than an hour.
    pub unnamed: Amount,
    /// Work folders of stages that nobody is at: attempts of dead processes, old checkpoints.
    pub work: Amount,
    /// Logs of old runs.
    pub runs: Amount,
    /// Temporary files of dead processes, findings that nobody used for long, and old damaged files that were set aside.
    pub leftovers: Amount,
    /// Records that stay, and all objects that stay.
    pub stays: Amount,
    /// Of the records that stay, those that the rules would have let go if no run held them.
    pub held: usize,
    /// Runs that go on.
    pub live_runs: usize,
    paths: Paths,
}

#[derive(Debug, Default)]
struct Paths {
    records: Vec<PathBuf>,
    objects: Vec<PathBuf>,
    work: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

/// What is unfinished and unnamed may still become something for so long.
const HOUR: Duration = Duration::from_secs(3600);

/// How long checkpoints, logs and damaged files are kept if the rules do not say.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Between the clocks of this machine, of others, and of the file system.
const CLOCKS: Duration = Duration::from_secs(60);

/// How long it waits for runs that are just planning or publishing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Finds what may go by `rules`, and unless it only looks, deletes it.
///
/// # Errors
/// If the cache cannot be read or written, is without locks, or if runs hold the gate for a minute.
pub fn gc(store: &Store, rules: &Rules, mode: Mode) -> Result<Sweep> {
    let _gate = match mode {
        Mode::Look => None,
        Mode::Delete | Mode::DeleteUnlocked => match Gate::alone(store, PATIENCE).context("cannot lock the cache")? {
            Alone::Held(gate) => Some(gate),
            Alone::Busy => bail!(
                "a run is reading its data or publishing in {} and does not come to an end; try again later",
                store.root().display()
            ),
            Alone::NoLocks if mode == Mode::DeleteUnlocked => None,
            Alone::NoLocks => bail!(
                "the file system of {} has no locks, so that running experiments cannot be seen; if there are none, \
                     say --unlocked",
                store.root().display()
            ),
        },
    };
    let sweep = find(store, rules)?;
    if mode != Mode::Look {
        sweep.delete(store)?;
    }
    Ok(sweep)
}

struct Known {
    record: Record,
    used_at: u64,
    held: bool,
    kept: bool,
}

fn find(store: &Store, rules: &Rules) -> Result<Sweep> {
    let runs = gate::runs(store)?;
    let live = || runs.iter().filter(|run| run.live);
    let oldest_live = live().map(|run| UNIX_EPOCH + Duration::from_secs(run.started)).min();
    let oldest_live = oldest_live.map(|start| start.checked_sub(CLOCKS).unwrap_or(UNIX_EPOCH));
    let held_keys: BTreeSet<Key> = live().flat_map(|run| run.keys.keys().copied()).collect();
    let mut used: HashMap<Key, u64> = HashMap::new();
    for (&key, &at) in runs.iter().flat_map(|run| &run.keys) {
        used.entry(key).and_modify(|known| *known = at.max(*known)).or_insert(at);
    }

    let (mut known, mut foreign) = (Vec::new(), Vec::new());
    for file in store.record_files()? {
        match file {
            RecordFile::Whole(record) => {
                let made = record.made.finished_at;
                let made_at = UNIX_EPOCH + Duration::from_secs(made);
                let young = made_at >= rules.now || oldest_live.is_some_and(|start| made_at >= start);
                known.push(Known {
                    used_at: used.get(&record.key).copied().unwrap_or(0).max(made),
                    held: young || held_keys.contains(&record.key),
                    kept: rules.keep.as_ref().is_some_and(|keep| keep.contains(&record.key)),
                    record: *record,
                });
            }
            RecordFile::Foreign { objects, .. } => foreign.extend(objects),
            RecordFile::Broken { .. } => {}
        }
    }
    spread_to_inputs(&mut known);

    // By object: size, path, and how many remaining records name it.
    let objects = store.object_files()?;
    let mut names: HashMap<Digest, usize> = HashMap::new();
    for digest in known.iter().flat_map(|known| distinct(&known.record)).chain(foreign) {
        *names.entry(digest).or_default() += 1;
    }
    let size: HashMap<Digest, u64> = objects.iter().filter_map(|object| Some((object.digest?, object.size))).collect();
    let before = |modified: Option<SystemTime>, limit: SystemTime| modified.is_some_and(|at| at < limit);
    let hour_ago = rules.now.checked_sub(HOUR).unwrap_or(UNIX_EPOCH);
    let is_live = |modified| oldest_live.is_some_and(|start| !before(modified, start));

    let mut sweep = Sweep { live_runs: live().count(), ..Sweep::default() };
    for object in &objects {
        let named = object.digest.is_some_and(|digest| names.contains_key(&digest));
        if !named && before(object.modified, hour_ago) && !is_live(object.modified) {
            sweep.unnamed += object.size;
            sweep.paths.objects.push(object.path.clone());
        }
    }

    let candidates = candidates(&known, rules);
    sweep.held = candidates.iter().filter(|&&place| known[place].held).count();
    let mut total = objects.iter().map(|object| object.size).sum::<u64>() - sweep.unnamed.bytes;
    let mut dropped = BTreeSet::new();
    for place in candidates.into_iter().filter(|&place| !known[place].held) {
        if rules.max_size.is_some_and(|most| total <= most) {
            break;
        }
        let Known { record, used_at, .. } = &known[place];
        let mut bytes = 0;
        for digest in distinct(record) {
            let left = names.entry(digest).or_insert(1);
            *left -= 1;
            if *left == 0 {
                bytes += size.get(&digest).copied().unwrap_or(0);
            }
        }
        total -= bytes;
        dropped.insert(record.key);
        sweep.paths.records.push(store.record_file(record.key));
        let (stage, kind) = (record.made.stage.clone(), record.material.kind.clone());
        sweep.records.push(Dropped { key: record.key, stage, kind, used_at: *used_at, bytes });
    }
    for object in &objects {
        let unnamed_now = object.digest.is_some_and(|digest| names.get(&digest) == Some(&0));
        if unnamed_now && !is_live(object.modified) {
            sweep.objects += object.size;
            sweep.paths.objects.push(object.path.clone());
        }
    }
    sweep.stays = Amount { count: known.len() - dropped.len(), bytes: total };

    let limit = rules.now.checked_sub(rules.older_than.unwrap_or(MONTH)).unwrap_or(UNIX_EPOCH);
    sweep.find_work(store, &held_keys, hour_ago, limit)?;
    let newest: BTreeMap<&str, &Path> = runs.iter().map(|run| (run.experiment.as_str(), run.path.as_path())).collect();
    for run in runs.iter().filter(|run| !run.live && run.modified < limit) {
        // `status` tells of an experiment's last run, however old.
        if newest.get(run.experiment.as_str()) != Some(&run.path.as_path()) {
            sweep.runs += weigh(&run.path).bytes;
            sweep.paths.others.push(run.path.clone());
        }
    }
    sweep.find_leftovers(store, hour_ago, limit)?;
    Ok(sweep)
}

/// Records that the rules let go, least recently used first, and of equally old ones the last made: what rests on
/// others goes before them.
fn candidates(known: &[Known], rules: &Rules) -> Vec<usize> {
    if rules.older_than.is_none() && rules.keep.is_none() && rules.max_size.is_none() {
        return Vec::new();
    }
    let now = rules.now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let limit = now.saturating_sub(rules.older_than.unwrap_or_default()).as_secs();
    let mut found: Vec<usize> = (0..known.len())
        .filter(|&place| !known[place].kept && (rules.older_than.is_none() || known[place].used_at <= limit))
        .collect();
    found.sort_by_key(|&place| (known[place].used_at, std::cmp::Reverse(known[place].record.made.finished_at)));
    found
}

/// What a record rests on is used when it is, held when it is, and kept when it is.
fn spread_to_inputs(known: &mut [Known]) {
    let mut makers: HashMap<Digest, Vec<usize>> = HashMap::new();
    for (place, known) in known.iter().enumerate() {
        makers.entry(known.record.content).or_default().push(place);
    }
    let mut waiting: Vec<usize> = (0..known.len()).collect();
    // The last used first: then hardly any is looked at twice.
    waiting.sort_by_key(|&place| known[place].used_at);
    while let Some(place) = waiting.pop() {
        let Known { used_at, held, kept, .. } = known[place];
        let inputs: Vec<Digest> =
            known[place].record.material.inputs.values().flatten().map(|input| input.content).collect();
        for maker in inputs.iter().filter_map(|content| makers.get(content)).flatten() {
            let input = &mut known[*maker];
            if input.used_at < used_at || (held && !input.held) || (kept && !input.kept) {
                input.used_at = input.used_at.max(used_at);
                input.held |= held;
                input.kept |= kept;
                waiting.push(*maker);
            }
        }
    }
}

fn distinct(record: &Record) -> BTreeSet<Digest> {
    record.outputs.iter().map(|output| output.digest).collect()
}

impl std::ops::AddAssign<u64> for Amount {
    /// One more file, of so many bytes.
    fn add_assign(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

impl Sweep {
    /// Nothing goes.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.paths.objects.is_empty()
            && self.paths.work.is_empty()
            && self.paths.others.is_empty()
    }

    /// All that is freed, in bytes.
    pub fn freed(&self) -> u64 {
        let amounts = [self.objects, self.unnamed, self.work, self.runs, self.leftovers];
        amounts.iter().map(|amount| amount.bytes).sum()
    }

    fn find_work(
        &mut self,
        store: &Store,
        held: &BTreeSet<Key>,
        hour_ago: SystemTime,
        limit: SystemTime,
    ) -> Result<()> {
        for folder in folders_in(&store.folder("work"))? {
            let Some(key) = gate::key_of(&folder) else {
                // A private folder: its lock tells whether somebody works in it.
                let weight = weigh(&folder);
                if is_attempt(&folder)
                    && (!scratch::is_alive(&folder) || !folder.join(scratch::LOCK).exists())
                    && weight.newest.is_some_and(|newest| newest < hour_ago)
                {
                    self.work += weight.bytes;
                    self.paths.others.push(folder);
                }
                continue;
            };
            if held.contains(&key) || is_locked(&folder.with_extension("lock")) {
                continue;
            }
            let weight = weigh(&folder);
            // A checkpoint may be a week of training: only age, and its stage being finished, make it worthless.
            let has_checkpoint = weigh(&folder.join("checkpoint")).count > 0 && store.find(key).is_none();
            let newest = weight.newest.unwrap_or(UNIX_EPOCH);
            if newest < if has_checkpoint { limit } else { hour_ago } {
                self.work += weight.bytes;
                self.paths.work.push(folder);
            }
        }
        Ok(())
    }

    fn find_leftovers(&mut self, store: &Store, hour_ago: SystemTime, limit: SystemTime) -> Result<()> {
        let mut folders = vec![store.root().to_owned()];
        folders.extend(["records", "last", "stat", kept::FOLDER].map(|name| store.folder(name)));
        let temporary = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"));
        let mut found = Vec::new();
        for folder in folders {
            for path in files_in(&folder)?.into_iter().chain(folders_in(&folder)?) {
                if temporary(&path) {
                    found.push((path, hour_ago));
                }
            }
        }
        let kept = files_in(&store.folder(kept::FOLDER))?;
        found.extend(kept.into_iter().filter(|path| !temporary(path)).map(|path| (path, limit)));
        let locks = files_in(&store.folder("work"))?;
        found.extend(locks.into_iter().filter(|lock| !is_locked(lock)).map(|lock| (lock, hour_ago)));
        found.extend(files_in(&store.folder("damaged"))?.into_iter().map(|path| (path, limit)));
        for (path, limit) in found {
            let weight = weigh(&path);
            if weight.newest.is_some_and(|newest| newest < limit) {
                self.leftovers += weight.bytes;
                self.paths.others.push(path);
            }
        }
        Ok(())
    }

    fn delete(&self, store: &Store) -> Result<()> {
        remove(&self.paths.records)?;
        if !self.paths.records.is_empty() {
            // A record must not come back from a power cut without its objects.
            sync_folder(&store.folder("records"))?;
        }
        remove(&self.paths.objects)?;
        for folder in &self.paths.work {
            let Some(key) = gate::key_of(folder) else { continue };
            let work = store.work(key);
            // With its lock in hand, as a worker that has finished does.
            let Some(attempt) = work.begin()? else { continue };
            work.remove(attempt);
        }
        remove(&self.paths.others)
    }
}

fn remove(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let removed = match fs::symlink_metadata(path) {
            Ok(file) if file.is_dir() => scratch::remove_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_attempt(folder: &Path) -> bool {
    let prefixes = [scratch::PREFIX, scratch::MAKING, scratch::GONE];
    folder.file_name().is_some_and(|name| prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)))
}

pub(super) fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// What lies at a path.
#[derive(Default)]
pub(super) struct Weight {
    /// Files.
    pub(super) count: usize,
    pub(super) bytes: u64,
    /// When the last of them, or the folder itself, was changed.
    pub(super) newest: Option<SystemTime>,
}

/// All files at or below `path`.
pub(super) fn weigh(path: &Path) -> Weight {
    let mut weight = Weight::default();
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(file) = fs::symlink_metadata(&path) else { continue };
        weight.newest = weight.newest.max(file.modified().ok());
        if file.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else {
            weight.count += 1;
            weight.bytes += file.len();
        }
    }
    weight
}

#[cfg(test)]
mod tests;
