//! A finished stage whose record is not written yet.

use super::durable::temporary_in;
use super::{Gate, Record, Store};
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;
use tempfile::NamedTempFile;

/// A finished stage whose files are in the cache, perhaps not flushed yet, and whose record is not written yet.
#[derive(Debug)]
pub struct Draft {
    pub(super) record: Record,
    /// The attempt's folder. The record is written there first: it is removed with the attempt if this process is killed.
    pub(super) folder: PathBuf,
    /// Whether the record replaces one that exists.
    pub(super) replace: bool,
    /// The objects that are new in the cache, and when each was last changed before it was hashed.
    pub(super) new_objects: Vec<(PathBuf, SystemTime)>,
    /// Why it must not become a record; `None` if it may.
    pub(super) fault: Option<String>,
    /// Keeps `gc` from removing objects before the record names them.
    pub(super) _gate: Option<Gate>,
}

impl Draft {
    /// The record as it will be written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Reads all files again if one was changed after it was moved into the cache.
    pub(super) fn distrust_changed(&mut self, store: &Store) {
        let is_changed = |(object, before): &(PathBuf, SystemTime)| {
            fs::metadata(object).and_then(|file| file.modified()).map_or(true, |now| now != *before)
        };
        if self.new_objects.iter().any(is_changed) {
            self.distrust(store);
        }
    }

    /// Reads all files again, because a process that was still running could have changed them after they were hashed. If one
    /// is changed, the draft does not become a record.
    pub fn distrust(&mut self, store: &Store) {
        if let Some(output) = store.damaged(&self.record, &mut BTreeSet::new()) {
            let path = &output.path;
            self.fault =
                Some(format!("a background process of this stage changed its output {path} after the stage's end"));
        }
    }

    /// Writes the record under a temporary name, not flushed.
    ///
    /// # Errors
    /// If an output was changed, or the disk is full or read-only.
    pub(super) fn write(&self, store: &Store) -> Result<NamedTempFile> {
        if let Some(fault) = &self.fault {
            bail!("{fault}");
        }
        // A record is linked, so it must lie on the cache's file system.
        let work = store.folder("work");
        let mut temporary = temporary_in(if store.has_scratch { &work } else { &self.folder })?;
        temporary.write_all(&self.record.to_bytes()?)?;
        Ok(temporary)
    }
}
