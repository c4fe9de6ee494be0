//! What an experiment found in the cache last time, in one file: to find it again costs a look at the times of records and
//! objects, not reading a thousand records.
//!
//! A line a record: its key, then JSON. A line counts only while the record's file is the very same (size, times, inode),
//! so nothing is found that is not in the cache; without this file, or with a torn one, records are read.

use super::stat_index::{Stamp, stamp};
use super::store::{Store, temporary_in};
use super::{Key, KeyMaterial, Output, Provenance, Record};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// What stands at the top; another line there is another format, and counts as an empty file.
const HEADER: &str = "matssl-run hits 1\n";
/// Digits of a key.
const DIGITS: usize = 64;

/// The records that one experiment found last.
#[derive(Debug)]
pub struct Hits {
    experiment: String,
    /// Those that are still in the cache with all of their objects.
    found: HashMap<Key, Known>,
    /// Records of one build on one machine share most of their provenance, which stands in the file once.
    makers: Vec<Provenance>,
    /// How many were taken out.
    taken: usize,
}

/// A line as it is read.
type Known = Line<BTreeMap<String, Value>, Vec<Output>>;

/// A line after its key.
#[derive(Debug, Serialize, Deserialize)]
struct Line<T, O> {
    stamp: Stamp,
    maker: usize,
    stage: String,
    device: String,
    threads: usize,
    finished_at: u64,
    seconds: f64,
    content: super::Digest,
    outputs: O,
    telemetry: T,
}

impl Hits {
    /// Of the experiment called `experiment`: looks all of them up.
    pub fn open(store: &Store, experiment: &str) -> Self {
        let text = fs::read_to_string(file_of(store, experiment)).unwrap_or_default();
        let mut lines = text.strip_prefix(HEADER).unwrap_or_default().lines();
        let makers = lines.next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let lines: Vec<&str> = lines.collect();
        let found = lines.par_iter().with_min_len(64).filter_map(|line| still_there(line, store)).collect();
        Hits { experiment: experiment.to_owned(), found, makers, taken: 0 }
    }

    /// Whose they are.
    pub fn experiment(&self) -> &str {
        &self.experiment
    }

    /// How many records it has answered for.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The record of `key`, which is that of `material`; or the material back.
    ///
    /// # Errors
    /// If the record is not known, or no longer in the cache.
    pub fn take(&mut self, key: Key, material: Box<KeyMaterial>) -> Result<Record, Box<KeyMaterial>> {
        let Some(line) = self.found.remove(&key) else { return Err(material) };
        let Line { maker, stage, device, threads, finished_at, seconds, content, outputs, telemetry, .. } = line;
        let Some(maker) = self.makers.get(maker).cloned() else { return Err(material) };
        let made = Provenance { stage, device, threads, finished_at, seconds, ..maker };
        self.taken += 1;
        Ok(Record { key, material: *material, outputs, content, made, telemetry })
    }

    /// Writes down what `experiment` has found or made now. That it cannot is no reason to stop: it would only be slower.
    pub fn write<'r>(store: &Store, experiment: &str, records: impl IntoIterator<Item = &'r Record>) {
        let mut makers: Vec<Provenance> = Vec::new();
        let mut lines = Vec::new();
        for record in records {
            let Ok(file) = fs::metadata(store.record_path(record.key)) else { continue };
            let Provenance { stage, device, threads, finished_at, seconds, .. } = record.made.clone();
            let own = Provenance {
                stage: String::new(),
                device: String::new(),
                threads: 0,
                finished_at: 0,
                seconds: 0.0,
                ..record.made.clone()
            };
            let maker = makers.iter().rposition(|maker| *maker == own).unwrap_or_else(|| {
                makers.push(own);
                makers.len() - 1
            });
            let line = Line {
                stamp: stamp(&file),
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
            let Ok(line) = serde_json::to_string(&line) else { continue };
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

/// The record of a line, if its file and its objects are what they were.
fn still_there(line: &str, store: &Store) -> Option<(Key, Known)> {
    let (key, rest) = line.split_at_checked(DIGITS)?;
    let key = Key(key.parse().ok()?);
    let line: Known = serde_json::from_str(rest).ok()?;
    let same = fs::metadata(store.record_path(key)).is_ok_and(|file| stamp(&file) == line.stamp);
    let right = same && line.content == Record::content_of(&line.outputs);
    (right && store.has_objects(&line.outputs)).then_some((key, line))
}

fn file_of(store: &Store, experiment: &str) -> PathBuf {
    store.folder("last").join(format!("{experiment}.hits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KEY_SCHEMA;

    fn material(seed: u64) -> KeyMaterial {
        KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "toy".into(),
            code_version: 1,
            params: serde_json::json!({"a": 1}),
            seed: Some(seed),
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_found_is_the_record_and_only_while_it_is_there_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let made = |seed: u64| {
            let folder = tempfile::tempdir_in(dir.path()).unwrap();
            fs::write(folder.path().join("a"), format!("text {seed}")).unwrap();
            let made =
                Provenance { host: "h".into(), stage: format!("e/{seed}"), seconds: 0.1 + 0.2, ..Default::default() };
            let telemetry = BTreeMap::from([("images".to_owned(), 3.into())]);
            store.publish(material(seed), folder.path(), made, telemetry, false).unwrap()
        };
        let records: Vec<Record> = (0..3).map(made).collect();
        Hits::write(&store, "e", &records);
        let find = |seed: usize| Hits::open(&store, "e").take(records[seed].key, Box::new(material(seed as u64))).ok();
        for (seed, record) in records.iter().enumerate() {
            assert_eq!(find(seed).as_ref(), Some(record));
        }
        assert_eq!(Hits::open(&store, "e").found.len(), 3);
        fs::remove_file(store.object(records[0].outputs[0].digest)).unwrap();
        fs::write(store.record_path(records[1].key), "{}").unwrap();
        assert_eq!((find(0), find(1)), (None, None));
        let path = file_of(&store, "e");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 9]).unwrap();
        assert_eq!(find(2), None, "a torn line");
        fs::write(&path, text.replace("hits 1", "hits 9")).unwrap();
        assert!(Hits::open(&store, "e").found.is_empty());
    }
}
