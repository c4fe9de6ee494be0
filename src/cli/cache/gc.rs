//! `matssl-run cache gc`: deletes what is no longer needed.

use super::super::arguments::ExperimentArgs;
use super::super::open_experiment;
use super::super::outcome::{Ending, Stop};
use super::super::output::print;
use super::super::wording::{plural, seconds_in_words};
use super::folder::Folder;
use crate::cache::{self, Key, LastKeys, Mode, Rules, Store, Sweep};
use crate::machine::Bytes;
use crate::plan::CacheState;
use crate::units;
use clap::Args;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Args)]
pub(super) struct GcArgs {
    #[command(flatten)]
    folder: Folder,
    /// Delete records that were neither made nor used for this time, e.g. 30d, 12h. A run that executes stages uses the
    /// records that it finds, and everything that these depend on.
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(super) older_than: Option<Duration>,
    /// Keep all stages of these experiment files, with what they depend on; delete only other records.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    keep: Vec<PathBuf>,
    /// Delete the least recently used records until the cache's files take at most this much, e.g. 20GiB.
    #[arg(long, value_name = "SIZE", value_parser = units::bytes)]
    max_size: Option<u64>,
    /// Folder in which relative data-set paths of the files of --keep are looked up [default: each file's own folder].
    #[arg(long, value_name = "DIR", env = "MATSSL_DATA")]
    data: Option<PathBuf>,
    /// Delete; without it only show what would be deleted.
    #[arg(long)]
    pub(super) yes: bool,
    /// Delete although the file system has no locks; no experiment may be running.
    #[arg(long, requires = "yes")]
    unlocked: bool,
    /// Print what is deleted as JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Clean the shared cache (without URL: the one of MATSSL_REMOTE or the site file): delete what no experiment that was pushed
    /// there needs and is older than --older-than [default: 30d].
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["keep", "max_size", "unlocked"])]
    pub(super) remote: Option<String>,
    /// With --remote: what this experiment needs no longer counts.
    #[arg(long, value_name = "EXPERIMENT", requires = "remote")]
    pub(super) forget: Vec<String>,
}

pub(super) fn gc(args: &GcArgs) -> Result<Ending, Stop> {
    let now = SystemTime::now();
    let store = args.folder.open()?;
    let keep = if args.keep.is_empty() { None } else { Some(kept(args)?) };
    let rules = Rules { older_than: args.older_than, keep, max_size: args.max_size, now };
    let mode = match (args.yes, args.unlocked) {
        (false, _) => Mode::Look,
        (true, false) => Mode::Delete,
        (true, true) => Mode::DeleteUnlocked,
    };
    let sweep = cache::gc(&store, &rules, mode)?;
    print(&if args.json { format!("{:#}\n", as_json(&sweep, args.yes)) } else { as_text(&sweep, now, args.yes) });
    Ok(Ending::Done)
}

/// The keys that the plans of --keep's experiments need. A stage that cannot be looked up, because one of its inputs is gone,
/// has the last key that is known of it.
fn kept(args: &GcArgs) -> Result<BTreeSet<Key>, Stop> {
    let mut keys = BTreeSet::new();
    for file in &args.keep {
        let cache = args.folder.cache.clone();
        let args = ExperimentArgs { file: file.clone(), set: Vec::new(), data: args.data.clone(), cache };
        let experiment = open_experiment::open_whole(&args)?;
        keys.extend(of_plan(&experiment.plan, &experiment.store));
    }
    Ok(keys)
}

fn of_plan(plan: &crate::plan::Plan, store: &Store) -> Vec<Key> {
    let last = LastKeys::open(store, &plan.experiment.name);
    let stages = plan.experiment.instances.iter().zip(&plan.states);
    stages
        .filter_map(|(instance, state)| match state {
            CacheState::Hit(record) => Some(record.key),
            _ => last.get(&instance.name),
        })
        .collect()
}

/// What is deleted of one experiment.
#[derive(Default)]
struct Part {
    count: usize,
    bytes: u64,
    oldest: u64,
    youngest: u64,
}

fn by_experiment(sweep: &Sweep) -> BTreeMap<&str, Part> {
    let mut parts: BTreeMap<&str, Part> = BTreeMap::new();
    for dropped in &sweep.records {
        let experiment = dropped.stage.split_once('/').map_or("", |(experiment, _)| experiment);
        let part = parts.entry(experiment).or_insert_with(|| Part { oldest: u64::MAX, ..Part::default() });
        part.count += 1;
        part.bytes += dropped.bytes;
        part.oldest = part.oldest.min(dropped.used_at);
        part.youngest = part.youngest.max(dropped.used_at);
    }
    parts
}

fn as_text(sweep: &Sweep, now: SystemTime, done: bool) -> String {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let age = |at: u64| seconds_in_words(now.saturating_sub(at) as f64);
    let mut text = String::new();
    for (experiment, part) in by_experiment(sweep) {
        let (oldest, youngest) = (age(part.oldest), age(part.youngest));
        let ages = if oldest == youngest { oldest } else { format!("{youngest} to {oldest}") };
        let _ = writeln!(
            text,
            "{experiment}: {}, {}, last used {ages} ago",
            plural(part.count, "record"),
            Bytes(part.bytes)
        );
    }
    let others = [
        (sweep.unnamed, "file", "that no record names"),
        (sweep.work, "work folder", "that no process uses"),
        (sweep.runs, "log", "of old runs"),
        (sweep.leftovers, "file", "left by processes that ended, or damaged"),
    ];
    for (amount, word, what) in others.iter().filter(|(amount, ..)| amount.count > 0) {
        let _ = writeln!(text, "{} {what}, {}", plural(amount.count, word), Bytes(amount.bytes));
    }
    let (what, how) = match (sweep.is_empty(), done) {
        (true, _) => ("nothing to delete".to_owned(), ""),
        (false, true) => (format!("deleted {}", Bytes(sweep.freed())), ""),
        (false, false) => (format!("would delete {}", Bytes(sweep.freed())), "; add --yes to delete"),
    };
    let stays = format!("{} ({}) kept", plural(sweep.stays.count, "record"), Bytes(sweep.stays.bytes));
    let _ = writeln!(text, "{what}, {stays}{how}");
    if sweep.held > 0 {
        let _ = writeln!(text, "{} more are in use by {}", sweep.held, plural(sweep.live_runs, "running experiment"));
    }
    text
}

fn as_json(sweep: &Sweep, done: bool) -> serde_json::Value {
    let amount = |amount: cache::Amount| json!({ "count": amount.count, "bytes": amount.bytes });
    let records: Vec<_> = sweep
        .records
        .iter()
        .map(|dropped| {
            json!({
                "key": dropped.key,
                "stage": dropped.stage,
                "kind": dropped.kind,
                "used_at": dropped.used_at,
                "bytes": dropped.bytes,
            })
        })
        .collect();
    json!({
        "done": done,
        "freed_bytes": sweep.freed(),
        "records": records,
        "objects": amount(sweep.objects),
        "unnamed": amount(sweep.unnamed),
        "work": amount(sweep.work),
        "runs": amount(sweep.runs),
        "leftovers": amount(sweep.leftovers),
        "stays": amount(sweep.stays),
        "held": sweep.held,
        "live_runs": sweep.live_runs,
    })
}
