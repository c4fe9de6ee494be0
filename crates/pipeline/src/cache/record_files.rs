//! What lies in a cache: every record, and how the folder's own files are called.

use super::{Digest, Key, LastKeys, Record, Store};
use anyhow::{Context as _, Result};
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file in `records/`.
#[derive(Debug)]
pub enum RecordFile {
    /// A record of this program's key schema, whole in itself.
    Whole(Box<Record>),
    /// A record of another program version: its objects are counted as named, it is left alone otherwise.
    Foreign {
        /// Where it is.
        path: PathBuf,
        /// Objects that it names.
        objects: Vec<Digest>,
    },
    /// Torn, edited, or named wrongly: no record.
    Broken {
        /// Where it is.
        path: PathBuf,
        /// The stage that it may have been of, if that can still be read.
        stage: Option<String>,
    },
}

/// As much of a record as every version of it has had.
#[derive(Deserialize)]
struct Glimpse {
    material: GlimpseMaterial,
    outputs: Vec<super::Output>,
}

#[derive(Deserialize)]
struct GlimpseMaterial {
    schema: u32,
}

impl Store {
    /// Where the record of `key` is, if there is one.
    pub fn record_file(&self, key: Key) -> PathBuf {
        self.folder("records").join(format!("{key}.json"))
    }

    /// Every file in `records/`, read in parallel, ordered by name. Temporary files are not among them.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn record_files(&self) -> Result<Vec<RecordFile>> {
        let mut paths = Vec::new();
        for entry in files_in(&self.folder("records"))? {
            if entry.extension().is_some_and(|extension| extension == "json") {
                paths.push(entry);
            }
        }
        Ok(paths.into_par_iter().filter_map(|path| self.read_record_file(path)).collect())
    }

    /// `None` if it has gone meanwhile.
    fn read_record_file(&self, path: PathBuf) -> Option<RecordFile> {
        let named = path.file_stem().and_then(|stem| stem.to_str()?.parse::<Digest>().ok());
        if let Some(record) = named.and_then(|digest| self.read_record(Key(digest))) {
            return Some(RecordFile::Whole(Box::new(record)));
        }
        match fs::read(&path) {
            Ok(bytes) => {
                // One whose version alone is damaged is no other version's.
                if let (true, Ok(glimpse)) =
                    (named.is_some() && Record::is_sealed(&bytes), serde_json::from_slice::<Glimpse>(&bytes))
                    && glimpse.material.schema != super::KEY_SCHEMA
                {
                    let objects = glimpse.outputs.iter().map(|output| output.digest).collect();
                    return Some(RecordFile::Foreign { path, objects });
                }
                let json = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
                let stage = json.and_then(|json| Some(json.get("made")?.get("stage")?.as_str()?.to_owned()));
                Some(RecordFile::Broken { path, stage })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(RecordFile::Broken { path, stage: None }),
        }
    }

    /// Every whole record, ordered by key.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn records(&self) -> Result<Vec<Record>> {
        let whole = |file| match file {
            RecordFile::Whole(record) => Some(*record),
            RecordFile::Foreign { .. } | RecordFile::Broken { .. } => None,
        };
        Ok(self.record_files()?.into_iter().filter_map(whole).collect())
    }

    /// Every file in `objects/`: its digest, where its name is one, its path and size. Ordered by path.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub(super) fn object_files(&self) -> Result<Vec<ObjectFile>> {
        let shards = folders_in(&self.folder("objects"))?;
        let files = shards
            .into_par_iter()
            .map(|shard| {
                let prefix = shard.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let files = files_in(&shard)?.into_iter().filter_map(|path| {
                    let rest = path.file_name()?.to_string_lossy();
                    let digest = format!("{prefix}{rest}").parse::<Digest>().ok();
                    let file = fs::symlink_metadata(&path).ok()?;
                    Some(ObjectFile { digest, path, size: file.len(), modified: file.modified().ok() })
                });
                Ok(files.collect::<Vec<_>>())
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(files.into_iter().flatten().collect())
    }

    /// Which experiments had which key last: key → their names, sorted.
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

/// A file in `objects/`.
pub(super) struct ObjectFile {
    /// What its name promises; `None` for a file that is no object.
    pub(super) digest: Option<Digest>,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) modified: Option<std::time::SystemTime>,
}

/// Regular files directly in `folder`, sorted; none if there is no such folder.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, |kind| kind.is_file())
}

/// Folders directly in `folder`, sorted; none if there is no such folder.
pub(super) fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, |kind| kind.is_dir())
}

fn entries(folder: &Path, wanted: impl Fn(&fs::FileType) -> bool) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // What vanishes while it is looked at is not there.
            if entry.file_type().is_ok_and(|kind| wanted(&kind)) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.with_context(|| format!("cannot read {}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{KEY_SCHEMA, KeyMaterial, Provenance};

    fn publish(store: &Store, seed: u64) -> Record {
        let folder = tempfile::tempdir_in(store.root()).unwrap();
        fs::write(folder.path().join("a"), format!("{seed}")).unwrap();
        let material = KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "toy".into(),
            code_version: 1,
            params: serde_json::json!({}),
            seed: Some(seed),
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        let made = Provenance { stage: format!("e/s@{seed}"), ..Provenance::default() };
        store.publish(material, folder.path(), made, BTreeMap::new(), false).unwrap()
    }

    #[test]
    fn whole_foreign_and_broken_records_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (whole, foreign, torn) = (publish(&store, 0), publish(&store, 1), publish(&store, 2));
        let path = store.record_file(foreign.key);
        let text = fs::read_to_string(&path).unwrap();
        // A later program's: another schema, and fields that this one does not know.
        // (Without the seal, which a test cannot forge.)
        let unsealed = format!("{}}}", text.split_once(",\"seal\"").unwrap().0);
        let later = unsealed.replace("\"schema\":1,", "\"schema\":2,\"precision\":\"bf16\",");
        assert_ne!(later, unsealed);
        fs::write(&path, later).unwrap();
        let path = store.record_file(torn.key);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"toy\"", "\"other\"")).unwrap();
        let mut seen = [0; 3];
        for file in store.record_files().unwrap() {
            match file {
                RecordFile::Whole(record) => {
                    assert_eq!(*record, whole);
                    seen[0] += 1;
                }
                RecordFile::Foreign { objects, .. } => {
                    assert_eq!(objects, [foreign.outputs[0].digest]);
                    seen[1] += 1;
                }
                RecordFile::Broken { stage, .. } => {
                    assert_eq!(stage.as_deref(), Some("e/s@2"));
                    seen[2] += 1;
                }
            }
        }
        assert_eq!(seen, [1, 1, 1]);
        assert_eq!(store.records().unwrap(), [whole]);
    }
}
