//! The files in `records/`.

use super::folder::files_in;
use super::{Digest, KEY_SCHEMA, Key, Output, Record, Store};
use anyhow::Result;
use rayon::prelude::*;
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::PathBuf;

/// A file in `records/`.
#[derive(Debug)]
pub(super) enum RecordFile {
    /// A consistent record of this program's key schema. Its objects may be missing.
    Intact(Box<Record>),
    /// A record of another program version. It is not used, but the objects that it names are kept.
    Foreign {
        /// The objects that it names.
        objects: Vec<Digest>,
    },
    /// Not a record: incomplete, edited, or with a wrong name.
    Broken {
        path: PathBuf,
        /// The stage that it may have belonged to, if that can still be read.
        stage: Option<String>,
    },
}

/// The fields that records of every program version have.
#[derive(Deserialize)]
struct AnyRecord {
    material: AnyMaterial,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct AnyMaterial {
    schema: u32,
}

impl Store {
    /// Every file in `records/`, read in parallel, ordered by name. Temporary files are not among them.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub(super) fn record_files(&self) -> Result<Vec<RecordFile>> {
        let mut paths = files_in(&self.folder("records"))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        Ok(paths.into_par_iter().filter_map(|path| self.read_record_file(path)).collect())
    }

    /// `None` if the file was removed meanwhile.
    fn read_record_file(&self, path: PathBuf) -> Option<RecordFile> {
        let named = path.file_stem().and_then(|stem| stem.to_str()?.parse::<Digest>().ok());
        if let Some(record) = named.and_then(|digest| self.read_record(Key(digest))) {
            return Some(RecordFile::Intact(Box::new(record)));
        }
        match fs::read(&path) {
            Ok(bytes) => match foreign_objects(&bytes).filter(|_| named.is_some()) {
                Some(objects) => Some(RecordFile::Foreign { objects }),
                None => {
                    let json = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
                    let stage = json.and_then(|json| Some(json.get("made")?.get("stage")?.as_str()?.to_owned()));
                    Some(RecordFile::Broken { path, stage })
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(RecordFile::Broken { path, stage: None }),
        }
    }

    /// Every intact record, ordered by key.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn records(&self) -> Result<Vec<Record>> {
        let intact = |file| match file {
            RecordFile::Intact(record) => Some(*record),
            RecordFile::Foreign { .. } | RecordFile::Broken { .. } => None,
        };
        Ok(self.record_files()?.into_iter().filter_map(intact).collect())
    }
}

impl Record {
    /// The objects that a record names, also one of another version of this program; `None` if the bytes are not a record.
    pub fn objects_named_by(bytes: &[u8]) -> Option<Vec<Digest>> {
        match Record::from_bytes(bytes).filter(Record::is_consistent) {
            Some(record) => Some(record.outputs.iter().map(|output| output.digest).collect()),
            None => foreign_objects(bytes),
        }
    }
}

/// The objects that a record of another key schema names; `None` if the bytes are not such a record.
fn foreign_objects(bytes: &[u8]) -> Option<Vec<Digest>> {
    // The seal is checked first: if only the schema's number is damaged, the record is no other version's.
    if !Record::is_intact(bytes) {
        return None;
    }
    let record: AnyRecord = serde_json::from_slice(bytes).ok()?;
    let objects = record.outputs.iter().map(|output| output.digest);
    (record.material.schema != KEY_SCHEMA).then(|| objects.collect())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{empty_cache, make_foreign, publish};
    use super::*;

    #[test]
    fn intact_foreign_and_broken_records_are_told_apart() {
        let (_dir, store) = empty_cache();
        let made = |seed: u64| publish(&store, seed, &[("a", &seed.to_string())]);
        let (intact, foreign, edited) = (made(0), made(1), made(2));
        make_foreign(&store.record_file(foreign.key), 2);
        let path = store.record_file(edited.key);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"toy\"", "\"other\"")).unwrap();
        let mut seen = [0; 3];
        for file in store.record_files().unwrap() {
            match file {
                RecordFile::Intact(record) => {
                    assert_eq!(*record, intact);
                    seen[0] += 1;
                }
                RecordFile::Foreign { objects } => {
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
        assert_eq!(store.records().unwrap(), [intact]);
    }
}
