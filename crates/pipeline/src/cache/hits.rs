//! The records that an experiment found last, in one file: to find them again costs a `stat` call for each record and object,
//! instead of reading thousands of records.
//!
//! The file has one line for each record: its key, then JSON. A line counts only while the record's file has the same size,
//! times and inode, so nothing is found that is not in the cache. If the file is missing or damaged, records are read.

use super::durable::temporary_in;
use super::file_stamp::FileStamp;
use super::{Digest, Key, KeyMaterial, Output, Provenance, Record, Store};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use tracing::debug;

/// The first line of the file. A file that begins otherwise has another format, and counts as empty.
const HEADER: &str = "matssl-run hits 1\n";
/// Number of hexadecimal digits of a key.
const KEY_DIGITS: usize = 64;

/// The records that one experiment found last.
#[derive(Debug)]
pub struct Hits {
    experiment: String,
    /// Those that are still in the cache with all of their objects.
    found: HashMap<Key, ReadHit>,
    /// The parts of provenance that many records share: those of one build on one machine. Each is written once.
    makers: Vec<Provenance>,
    /// How many records were taken.
    taken: usize,
}

/// A hit as it is read from the file.
type ReadHit = Hit<BTreeMap<String, Value>, Vec<Output>>;

/// The JSON of a line: a record without its key and material.
#[derive(Debug, Serialize, Deserialize)]
struct Hit<T, O> {
    stamp: FileStamp,
    /// Index into the makers.
    maker: usize,
    stage: String,
    device: String,
    threads: usize,
    finished_at: u64,
    seconds: f64,
    content: Digest,
    outputs: O,
    telemetry: T,
}

impl Hits {
    /// Reads the hits of `experiment`, and keeps those that are still in the cache.
    pub fn open(store: &Store, experiment: &str) -> Self {
        let text = fs::read_to_string(file_of(store, experiment)).unwrap_or_default();
        let mut lines = text.strip_prefix(HEADER).unwrap_or_default().lines();
        let makers = lines.next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let lines: Vec<&str> = lines.collect();
        let found = lines.par_iter().with_min_len(64).filter_map(|line| hit_in_cache(line, store)).collect();
        Hits { experiment: experiment.to_owned(), found, makers, taken: 0 }
    }

    /// Name of the experiment.
    pub fn experiment(&self) -> &str {
        &self.experiment
    }

    /// How many records were [taken](Hits::take).
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The record of `key`, the key of `material`.
    ///
    /// # Errors
    /// Gives the material back if the record is not known or no longer in the cache.
    pub fn take(&mut self, key: Key, material: Box<KeyMaterial>) -> Result<Record, Box<KeyMaterial>> {
        let Some(hit) = self.found.remove(&key) else { return Err(material) };
        let Hit { maker, stage, device, threads, finished_at, seconds, content, outputs, telemetry, .. } = hit;
        let Some(maker) = self.makers.get(maker).cloned() else { return Err(material) };
        let made = Provenance { stage, device, threads, finished_at, seconds, ..maker };
        self.taken += 1;
        debug!(%key, stage = made.stage, host = made.host, "found the record of this key among the last hits");
        Ok(Record { key, material: *material, outputs, content, made, telemetry })
    }

    /// Writes the records that `experiment` has found or made now. Failing to write them is no error: finding them again is
    /// only slower.
    pub fn write<'r>(store: &Store, experiment: &str, records: impl IntoIterator<Item = &'r Record>) {
        let mut makers: Vec<Provenance> = Vec::new();
        let mut lines = Vec::new();
        for record in records {
            let Ok(file) = fs::metadata(store.record_file(record.key)) else { continue };
            let Provenance { stage, device, threads, finished_at, seconds, .. } = record.made.clone();
            let shared = Provenance {
                stage: String::new(),
                device: String::new(),
                threads: 0,
                finished_at: 0,
                seconds: 0.0,
                ..record.made.clone()
            };
            let maker = makers.iter().rposition(|maker| *maker == shared).unwrap_or_else(|| {
                makers.push(shared);
                makers.len() - 1
            });
            let hit = Hit {
                stamp: FileStamp::of(&file),
                maker,
                stage,
                device,
                threads,
                finished_at,
                seconds,
                content: record.content,
                outputs: &record.outputs,
                telemetry: &record.telemetry,
            };
            let Ok(line) = serde_json::to_string(&hit) else { continue };
            lines.push(format!("{}{line}\n", record.key));
        }
        let Ok(makers) = serde_json::to_string(&makers) else { return };
        let path = file_of(store, experiment);
        let Some(folder) = path.parent() else { return };
        if let Ok(mut temporary) = temporary_in(folder)
            && write!(temporary, "{HEADER}{makers}\n{}", lines.concat()).is_ok()
        {
            let _ = temporary.persist(&path);
        }
    }
}

/// The hit of a line, if the record's file is unchanged and its objects exist.
fn hit_in_cache(line: &str, store: &Store) -> Option<(Key, ReadHit)> {
    let (key, json) = line.split_at_checked(KEY_DIGITS)?;
    let key = Key(key.parse().ok()?);
    let hit: ReadHit = serde_json::from_str(json).ok()?;
    let is_unchanged = fs::metadata(store.record_file(key)).is_ok_and(|file| FileStamp::of(&file) == hit.stamp);
    let is_valid = is_unchanged && hit.content == Record::content_of(&hit.outputs);
    (is_valid && store.missing_object(&hit.outputs).is_none()).then_some((key, hit))
}

fn file_of(store: &Store, experiment: &str) -> PathBuf {
    store.folder("last").join(format!("{experiment}.hits"))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Stage, empty_cache, material};
    use super::*;

    #[test]
    fn a_hit_is_the_record_and_counts_only_while_the_record_is_unchanged() {
        let (_dir, store) = empty_cache();
        let made = |seed: u64| {
            let text = format!("text {seed}");
            let made =
                Provenance { host: "h".into(), stage: format!("e/{seed}"), seconds: 0.1 + 0.2, ..Default::default() };
            let telemetry = BTreeMap::from([("images".to_owned(), 3.into())]);
            Stage { made, telemetry, ..Stage::new(seed, &[("a", &text)]) }.publish(&store)
        };
        let records: Vec<Record> = (0..3).map(made).collect();
        Hits::write(&store, "e", &records);
        let find = |seed: usize| Hits::open(&store, "e").take(records[seed].key, Box::new(material(seed as u64))).ok();
        for (seed, record) in records.iter().enumerate() {
            assert_eq!(find(seed).as_ref(), Some(record));
        }
        assert_eq!(Hits::open(&store, "e").found.len(), 3);
        fs::remove_file(store.object(records[0].outputs[0].digest)).unwrap();
        fs::write(store.record_file(records[1].key), "{}").unwrap();
        assert_eq!((find(0), find(1)), (None, None));
        let path = file_of(&store, "e");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 9]).unwrap();
        assert_eq!(find(2), None, "an incomplete line");
        fs::write(&path, text.replace("hits 1", "hits 9")).unwrap();
        assert!(Hits::open(&store, "e").found.is_empty());
    }
}
