//! The records of a cache, with when each was last used and whether it must stay.

use super::super::past_runs::PastRun;
use super::super::record_files::RecordFile;
use super::super::{Digest, Key, Record, Store};
use super::rules::Rules;
use anyhow::Result;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A record of this program version.
pub(super) struct KnownRecord {
    pub(super) record: Record,
    /// When it was last made, fetched or used, in seconds since 1970.
    pub(super) used_at: u64,
    /// Whether a running experiment may need it.
    pub(super) is_held: bool,
    /// Whether a rule keeps it.
    pub(super) is_kept: bool,
}

/// All records of a cache.
pub(super) struct KnownRecords {
    pub(super) records: Vec<KnownRecord>,
    /// Objects that records of other program versions name.
    pub(super) foreign_objects: Vec<Digest>,
}

impl KnownRecords {
    /// Reads all records. Those made after `oldest_live`, the start of the oldest live run, are held.
    pub(super) fn read(
        store: &Store,
        rules: &Rules,
        runs: &[PastRun],
        held_keys: &BTreeSet<Key>,
        oldest_live: Option<SystemTime>,
    ) -> Result<Self> {
        let mut used: HashMap<Key, u64> = HashMap::new();
        for (&key, &at) in runs.iter().flat_map(|run| &run.keys) {
            used.entry(key).and_modify(|known| *known = at.max(*known)).or_insert(at);
        }
        let mut known = KnownRecords { records: Vec::new(), foreign_objects: Vec::new() };
        for file in store.record_files()? {
            match file {
                RecordFile::Intact(record) => {
                    // A record that came from the remote was made long before it was here.
                    let made = record.made.finished_at.max(written_at(&store.record_file(record.key)));
                    let made_at = UNIX_EPOCH + Duration::from_secs(made);
                    let is_young = made_at >= rules.now || oldest_live.is_some_and(|start| made_at >= start);
                    known.records.push(KnownRecord {
                        used_at: used.get(&record.key).copied().unwrap_or(0).max(made),
                        is_held: is_young || held_keys.contains(&record.key),
                        is_kept: rules.keep.as_ref().is_some_and(|keep| keep.contains(&record.key)),
                        record: *record,
                    });
                }
                RecordFile::Foreign { objects } => known.foreign_objects.extend(objects),
                RecordFile::Broken { .. } => {}
            }
        }
        known.spread_to_inputs();
        Ok(known)
    }

    /// A record that another depends on is used, held and kept when the other is.
    fn spread_to_inputs(&mut self) {
        let records = &mut self.records;
        let mut makers: HashMap<Digest, Vec<usize>> = HashMap::new();
        let read_in_part: BTreeSet<&[String]> = records
            .iter()
            .flat_map(|known| known.record.material.inputs.values().flatten())
            .map(|input| input.reads.as_slice())
            .filter(|reads| !reads.is_empty())
            .collect();
        for (index, KnownRecord { record, .. }) in records.iter().enumerate() {
            makers.entry(record.content).or_default().push(index);
            for reads in &read_in_part {
                if reads.iter().all(|name| record.outputs.iter().any(|output| output.path == *name)) {
                    makers.entry(record.content_for(reads)).or_default().push(index);
                }
            }
        }
        let mut waiting: Vec<usize> = (0..records.len()).collect();
        // The most recently used first, so that few records are visited twice.
        waiting.sort_by_key(|&index| records[index].used_at);
        while let Some(index) = waiting.pop() {
            let KnownRecord { used_at, is_held, is_kept, .. } = records[index];
            let inputs: Vec<Digest> =
                records[index].record.material.inputs.values().flatten().map(|input| input.content).collect();
            for maker in inputs.iter().filter_map(|content| makers.get(content)).flatten() {
                let input = &mut records[*maker];
                if input.used_at < used_at || (is_held && !input.is_held) || (is_kept && !input.is_kept) {
                    input.used_at = input.used_at.max(used_at);
                    input.is_held |= is_held;
                    input.is_kept |= is_kept;
                    waiting.push(*maker);
                }
            }
        }
    }

    /// Indices of the records that the rules select, least recently used first. Of two that were used at the same time, the one
    /// made last is first: a record goes before those that it depends on.
    pub(super) fn candidates(&self, rules: &Rules) -> Vec<usize> {
        if rules.older_than.is_none() && rules.keep.is_none() && rules.max_size.is_none() {
            return Vec::new();
        }
        let records = &self.records;
        let now = rules.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let limit = now.saturating_sub(rules.older_than.unwrap_or_default()).as_secs();
        let is_selected =
            |known: &KnownRecord| !known.is_kept && (rules.older_than.is_none() || known.used_at <= limit);
        let mut found: Vec<usize> = (0..records.len()).filter(|&index| is_selected(&records[index])).collect();
        found.sort_by_key(|&index| (records[index].used_at, Reverse(records[index].record.made.finished_at)));
        found
    }

    /// Number of records that name each object, those of other program versions included.
    pub(super) fn references(&self) -> HashMap<Digest, usize> {
        let mut references: HashMap<Digest, usize> = HashMap::new();
        let known = self.records.iter().flat_map(|known| distinct_objects(&known.record));
        for digest in known.chain(self.foreign_objects.iter().copied()) {
            *references.entry(digest).or_default() += 1;
        }
        references
    }
}

/// When a file was written, in seconds since 1970; 0 if that cannot be read.
fn written_at(path: &Path) -> u64 {
    let modified = fs::metadata(path).and_then(|file| file.modified()).ok();
    modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
}

/// The objects that a record names.
pub(super) fn distinct_objects(record: &Record) -> BTreeSet<Digest> {
    record.outputs.iter().map(|output| output.digest).collect()
}
