//! Which key each stage of an experiment had last: what `explain` compares with.

use super::folder::files_in;
use super::{Key, Store};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// The JSON of a line.
#[derive(Serialize, Deserialize)]
struct StageKey {
    stage: String,
    key: Key,
}

/// The last key of each stage of one experiment. The file is appended to only, by one line for each change; of two lines for
/// one stage, the later counts.
pub struct LastKeys {
    path: PathBuf,
    keys: BTreeMap<String, Key>,
}

impl LastKeys {
    /// Reads the last keys of `experiment`.
    pub fn open(store: &Store, experiment: &str) -> Self {
        let path = store.folder("last").join(format!("{experiment}.jsonl"));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        // The last line may be incomplete after a kill.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<StageKey>(line).ok());
        LastKeys { path, keys: lines.map(|line| (line.stage, line.key)).collect() }
    }

    /// The key with which `stage` last finished or was found.
    pub fn get(&self, stage: &str) -> Option<Key> {
        self.keys.get(stage).copied()
    }

    /// The last keys of all stages, in the order of the stages' names.
    fn all(&self) -> impl Iterator<Item = Key> + '_ {
        self.keys.values().copied()
    }

    /// Writes the keys of stages. Keys that are known already are not written again.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn set(&mut self, keys: impl IntoIterator<Item = (String, Key)>) -> Result<()> {
        let mut text = String::new();
        for (stage, key) in keys {
            if self.keys.insert(stage.clone(), key) != Some(key) {
                text += &serde_json::to_string(&StageKey { stage, key })?;
                text.push('\n');
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        // One write of complete lines in append mode, so that concurrent runs do not mix their lines. The leading newline ends
        // a line that a kill may have left incomplete.
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(format!("\n{text}").as_bytes()))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Store {
    /// Which experiments used each key last: key → their names, sorted.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn users(&self) -> Result<BTreeMap<Key, Vec<String>>> {
        let mut users: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        for path in files_in(&self.folder("last"))? {
            let Some(experiment) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl")) else {
                continue;
            };
            for key in LastKeys::open(self, experiment).all() {
                let experiments = users.entry(key).or_default();
                if experiments.last().map(String::as_str) != Some(experiment) {
                    experiments.push(experiment.to_owned());
                }
            }
        }
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Digest;
    use super::super::fixtures::empty_cache;
    use super::*;

    #[test]
    fn the_last_key_counts_and_an_incomplete_line_does_not() {
        let (dir, store) = empty_cache();
        let (a, b) = (Key(Digest::of(b"a")), Key(Digest::of(b"b")));
        let mut keys = LastKeys::open(&store, "e");
        keys.set([("ssl".to_owned(), a), ("other".to_owned(), a)]).unwrap();
        keys.set([("ssl".to_owned(), b)]).unwrap();
        let path = dir.path().join("last/e.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"stage\":\"ssl\",\"k")).unwrap();
        let mut keys = LastKeys::open(&store, "e");
        assert_eq!((keys.get("ssl"), keys.get("other"), keys.get("new")), (Some(b), Some(a), None));
        keys.set([("new".to_owned(), a)]).unwrap();
        assert_eq!(LastKeys::open(&store, "e").get("new"), Some(a));
        let mut keys = LastKeys::open(&store, "d");
        keys.set([("ssl".to_owned(), a)]).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(store.users().unwrap(), BTreeMap::from([(a, names(&["d", "e"])), (b, names(&["e"]))]));
    }
}
