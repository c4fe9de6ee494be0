//! Which key each stage of an experiment had last: what `explain` compares with.

use super::{Key, Store};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

#[derive(Serialize, Deserialize)]
struct Line {
    stage: String,
    key: Key,
}

/// The last key of each stage of one experiment. Append-only on disk, one line a change; later lines win.
pub struct LastKeys {
    path: PathBuf,
    keys: BTreeMap<String, Key>,
}

impl LastKeys {
    /// Of the experiment called `experiment`.
    pub fn open(store: &Store, experiment: &str) -> Self {
        let path = store.folder("last").join(format!("{experiment}.jsonl"));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        // A last line torn by a kill is skipped.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        LastKeys { path, keys: lines.map(|line| (line.stage, line.key)).collect() }
    }

    /// The last key that `stage` finished or was found with.
    pub fn get(&self, stage: &str) -> Option<Key> {
        self.keys.get(stage).copied()
    }

    /// Every stage's last key, by the stages' names.
    pub fn all(&self) -> impl Iterator<Item = Key> + '_ {
        self.keys.values().copied()
    }

    /// Remembers keys; those already known cost nothing.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn set(&mut self, keys: impl IntoIterator<Item = (String, Key)>) -> Result<()> {
        let mut text = String::new();
        for (stage, key) in keys {
            if self.keys.insert(stage.clone(), key) != Some(key) {
                text += &serde_json::to_string(&Line { stage, key })?;
                text.push('\n');
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        // One write of whole lines in append mode: concurrent runs do not tear each other's lines. A leading newline
        // closes a line that a kill may have left open.
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(format!("\n{text}").as_bytes()))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Digest;

    #[test]
    fn the_last_word_counts_and_a_torn_line_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
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
    }
}
