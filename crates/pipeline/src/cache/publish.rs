//! From a stage's folder into the cache: objects first, flushed; then the record; the first record wins.

use super::record::name_in;
use super::store::{Store, sync_folder, temporary_in};
use super::{Digest, Gate, KeyMaterial, Output, Provenance, Record};
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// More files than this are flushed by one call for the whole file system, not by one call each.
const FLUSHED_ONE_BY_ONE: usize = 8;

/// A finished stage whose files are in the cache, perhaps not flushed yet, and whose record is not written.
#[derive(Debug)]
pub struct Draft {
    record: Record,
    /// The attempt's folder, which somebody clears away: what is half written there is met by nobody.
    folder: PathBuf,
    /// Takes the place of a record that is there.
    replace: bool,
    /// The objects that it brought, and when each was last written to before it was hashed.
    moved: Vec<(PathBuf, SystemTime)>,
    /// Why it cannot become a record.
    spoilt: Option<String>,
    /// Until the record names them, `gc` must not take objects that are there already.
    _gate: Option<Gate>,
}

impl Draft {
    /// The record as it will be written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether one of its files was changed after it was moved here: then all are read once more.
    fn doubt(&mut self, store: &Store) {
        let changed = |(object, before): &(PathBuf, SystemTime)| {
            fs::metadata(object).and_then(|file| file.modified()).map_or(true, |now| now != *before)
        };
        if self.moved.iter().any(changed) {
            self.distrust(store);
        }
    }

    /// Reads its files once more: somebody was still there who could have written to them after they were hashed.
    pub fn distrust(&mut self, store: &Store) {
        if let Some(output) = store.damaged(&self.record, &mut BTreeSet::new()) {
            let path = &output.path;
            self.spoilt = Some(format!("a process that it had left behind wrote to its output {path} after its end"));
        }
    }
}

impl Store {
    /// Moves every file below `folder` into the cache and writes the record, last. If another process finished the
    /// same key first, its record is returned; with `replace` the new one takes the place of any old one.
    ///
    /// # Errors
    /// A full or read-only disk; nothing of the attempt then counts.
    pub fn publish(
        &self,
        material: KeyMaterial,
        folder: &Path,
        made: Provenance,
        telemetry: BTreeMap<String, serde_json::Value>,
        replace: bool,
    ) -> Result<Record> {
        let draft = self.draft(material, folder, made, telemetry, replace)?;
        self.commit(vec![draft]).pop().unwrap_or_else(|| Err(anyhow::anyhow!("no record was written")))
    }

    /// The first half of [`Store::publish`]: moves the files. Until [`Store::commit`] nothing of it counts.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn draft(
        &self,
        material: KeyMaterial,
        folder: &Path,
        made: Provenance,
        telemetry: BTreeMap<String, serde_json::Value>,
        replace: bool,
    ) -> Result<Draft> {
        let gate = Gate::shared(self).ok();
        let (mut outputs, mut moved) = (Vec::new(), Vec::new());
        for path in files_below(folder)? {
            let written = fs::metadata(&path)?.modified()?;
            let (digest, size, new) =
                self.put(&path).with_context(|| format!("cannot take {} into the cache", path.display()))?;
            if new {
                moved.push((self.object(digest), written));
            }
            outputs.push(Output { path: name_in(folder, &path)?, digest, size });
        }
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        let (key, content) = (material.key(), Record::content_of(&outputs));
        let record = Record { key, material, outputs, content, made, telemetry };
        Ok(Draft { record, folder: folder.to_owned(), replace, moved, spoilt: None, _gate: gate })
    }

    /// The second half: flushes the files of all `drafts` together, then writes their records. What it returns for each
    /// draft is durable: the record of that key, whoever was the first to write it.
    pub fn commit(&self, mut drafts: Vec<Draft>) -> Vec<Result<Record>> {
        drafts.iter_mut().for_each(|draft| draft.doubt(self));
        let written: Vec<_> = drafts.iter().map(write_record).collect();
        let flushed = self.flush(&drafts, &written).map_err(|error| format!("{error:#}"));
        let linked: Vec<Result<Record>> = drafts
            .into_iter()
            .zip(written)
            .map(|(draft, written)| match &flushed {
                Ok(()) => self.link(draft, written?.path()),
                Err(error) => Err(anyhow::anyhow!("{error}")),
            })
            .collect();
        match sync_folder(&self.folder("records")) {
            Ok(()) => linked,
            Err(error) => linked.into_iter().map(|_| Err(anyhow::anyhow!("{error:#}"))).collect(),
        }
    }

    /// Makes durable what the records name, and the records under their temporary names.
    fn flush(&self, drafts: &[Draft], written: &[Result<tempfile::NamedTempFile>]) -> Result<()> {
        let outputs = || drafts.iter().flat_map(|draft| &draft.record.outputs);
        let objects = self.folder("objects");
        if outputs().count() + drafts.len() > FLUSHED_ONE_BY_ONE && self.flush_at_once(&objects)? {
            return Ok(());
        }
        // Also of those that were there already: another process may have put them there a moment ago, unflushed.
        for output in outputs() {
            let object = self.object(output.digest);
            File::open(&object)
                .and_then(|file| file.sync_all())
                .with_context(|| format!("cannot flush {}", object.display()))?;
            sync_folder(object.parent().unwrap_or(&objects))?;
        }
        // Folders that were made for these objects, by whomever.
        sync_folder(&objects)?;
        for file in written.iter().flatten() {
            file.as_file().sync_all()?;
        }
        Ok(())
    }

    /// Flushes the whole file system, if objects and records are on one and the system can; false if not.
    #[cfg(target_os = "linux")]
    fn flush_at_once(&self, objects: &Path) -> Result<bool> {
        use std::os::fd::AsRawFd;
        let device = |folder: &Path| fs::metadata(folder).map(|folder| folder.dev());
        if device(objects)? != device(&self.folder("records"))? || device(objects)? != device(&self.folder("work"))? {
            return Ok(false);
        }
        let folder = File::open(objects)?;
        // SAFETY: plain system call on a file descriptor that is open.
        match unsafe { libc::syncfs(folder.as_raw_fd()) } {
            0 => Ok(true),
            _ => Err(std::io::Error::last_os_error()).context("cannot flush the cache"),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn flush_at_once(&self, _: &Path) -> Result<bool> {
        Ok(false)
    }

    /// Gives a written and flushed record its name, if it is the first of its key.
    fn link(&self, draft: Draft, written: &Path) -> Result<Record> {
        let Draft { record, replace, .. } = draft;
        let path = self.record_path(record.key);
        // Linking fails where a record is already: the first one wins, atomically, with or without locks.
        match fs::hard_link(written, &path) {
            Ok(()) => return Ok(record),
            Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.exists() => {
                // A file system without hard links: a rename is as atomic, and what it may replace is as whole.
                fs::rename(written, &path).with_context(|| format!("cannot write {}", path.display()))?;
                return Ok(record);
            }
            Err(_) => {}
        }
        if !replace && let Some(first) = self.find(record.key) {
            return Ok(first);
        }
        // Forced, or a record whose objects are gone or damaged: ours replaces it.
        fs::rename(written, &path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(record)
    }

    /// Takes one file into the cache: read-only, under its hash; not flushed. Whether it was new there.
    fn put(&self, path: &Path) -> Result<(Digest, u64, bool)> {
        let (digest, size) = Digest::of_file(path)?;
        let object = self.object(digest);
        // One that is there is read before it is trusted: only so does a damaged object ever get well.
        if Digest::of_file(&object).is_ok_and(|(there, _)| there == digest) {
            return Ok((digest, size, false));
        }
        // For everybody in the group that shares the cache, whatever mode a program gave it.
        fs::set_permissions(path, fs::Permissions::from_mode(0o444))?;
        // A rename replaces a damaged object as well as it makes a new one.
        match fs::rename(path, &object) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(object.parent().unwrap_or(self.root()))?;
                fs::rename(path, &object)?;
            }
            renamed => renamed?,
        }
        Ok((digest, size, true))
    }
}

/// The record of `draft` under a temporary name, not flushed.
fn write_record(draft: &Draft) -> Result<tempfile::NamedTempFile> {
    if let Some(why) = &draft.spoilt {
        anyhow::bail!("{why}");
    }
    let mut temporary = temporary_in(&draft.folder)?;
    temporary.write_all(&draft.record.to_bytes()?)?;
    Ok(temporary)
}

/// All regular files below `folder`, sorted.
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
