//! From a stage's folder into the cache: first the objects, flushed, then the record. The first record of a key wins.

use super::durable::{sync_folder, temporary_in};
use super::folder::{files_below, relative_name};
use super::{Digest, Draft, Gate, KeyMaterial, Output, Provenance, Record, Store};
use anyhow::{Context as _, Result, anyhow};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use tempfile::NamedTempFile;
use tracing::debug;

/// Up to this many files are flushed by one call each; more files by one call for the whole file system.
const FLUSHED_ONE_BY_ONE: usize = 8;

impl Store {
    /// Moves every file below `folder` into the cache, then writes the record. Returns the record of that key: another
    /// process's if it was first, unless `replace` says that the new record replaces any old one.
    ///
    /// # Errors
    /// A full or read-only disk; then no record is written.
    pub fn publish(
        &self,
        material: KeyMaterial,
        folder: &Path,
        made: Provenance,
        telemetry: BTreeMap<String, serde_json::Value>,
        replace: bool,
    ) -> Result<Record> {
        let draft = self.draft(material, folder, made, telemetry, replace)?;
        self.commit(vec![draft]).pop().unwrap_or_else(|| Err(anyhow!("no record was written")))
    }

    /// The first half of [`Store::publish`]: moves the files. The stage counts as finished only after [`Store::commit`].
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
        let (mut outputs, mut new_objects) = (Vec::new(), Vec::new());
        for path in files_below(folder)? {
            let modified = fs::metadata(&path)?.modified()?;
            let (digest, size, is_new) =
                self.put(&path).with_context(|| format!("cannot move {} into the cache", path.display()))?;
            if is_new {
                new_objects.push((self.object_path(digest), modified));
            }
            outputs.push(Output { path: relative_name(folder, &path)?, digest, size });
        }
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        let (key, content) = (material.key(), Record::content_of(&outputs));
        let record = Record { key, material, outputs, content, made, telemetry };
        Ok(Draft { record, folder: folder.to_owned(), replace, new_objects, fault: None, _gate: gate })
    }

    /// The second half of [`Store::publish`]: flushes the files of all `drafts` together, then writes their records. Returns
    /// for each draft the record of its key, whichever process wrote it first. Every returned record is durable.
    pub fn commit(&self, mut drafts: Vec<Draft>) -> Vec<Result<Record>> {
        drafts.iter_mut().for_each(|draft| draft.distrust_changed(self));
        let files: Vec<_> = drafts.iter().map(|draft| draft.write(self)).collect();
        let flushed = self.flush(&drafts, &files).map_err(|error| format!("{error:#}"));
        let records: Vec<Result<Record>> = drafts
            .into_iter()
            .zip(files)
            .map(|(draft, file)| match &flushed {
                Ok(()) => self.link(draft, file?.path()),
                Err(error) => Err(anyhow!("{error}")),
            })
            .collect();
        match sync_folder(&self.folder("records")) {
            Ok(()) => records,
            Err(error) => records.into_iter().map(|_| Err(anyhow!("{error:#}"))).collect(),
        }
    }

    /// Makes durable what the records name, and the records' `files` under their temporary names.
    fn flush(&self, drafts: &[Draft], files: &[Result<NamedTempFile>]) -> Result<()> {
        let outputs = || drafts.iter().flat_map(|draft| &draft.record.outputs);
        let objects = self.folder("objects");
        if outputs().count() + drafts.len() > FLUSHED_ONE_BY_ONE && self.flush_at_once(&objects)? {
            return Ok(());
        }
        // Also those that were there already: another process may have put them there a moment ago, unflushed.
        for output in outputs() {
            let object = self.object_path(output.digest);
            File::open(&object)
                .and_then(|file| file.sync_all())
                .with_context(|| format!("cannot flush {}", object.display()))?;
            sync_folder(object.parent().unwrap_or(&objects))?;
        }
        // For the folders that were made for these objects, by this process or another.
        sync_folder(&objects)?;
        for file in files.iter().flatten() {
            file.as_file().sync_all()?;
        }
        Ok(())
    }

    /// Flushes the whole file system, if objects and records are on the same one and the system has such a call; else
    /// returns false.
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

    /// Gives the flushed record in `file` its final name, unless its key has a record already.
    fn link(&self, draft: Draft, file: &Path) -> Result<Record> {
        let Draft { record, replace, .. } = draft;
        let (key, stage, content) = (record.key, &record.made.stage, record.content);
        let path = self.record_file(key);
        // Linking fails where a record is already: so the first record wins, in one step, with or without locks.
        match fs::hard_link(file, &path) {
            Ok(()) => {
                debug!(%key, stage, %content, "wrote the first record of this key");
                return Ok(record);
            }
            Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.exists() => {
                // A file system without hard links. A rename is one step, too, and can replace only a complete record.
                fs::rename(file, &path).with_context(|| format!("cannot write {}", path.display()))?;
                debug!(%key, stage, %content, "wrote the record by a rename, as hard links do not work here");
                return Ok(record);
            }
            Err(_) => {}
        }
        if !replace && let Some(first) = self.find_here(key) {
            let same_content = first.content == content;
            debug!(%key, stage, same_content, first_host = first.made.host, "another record of this key was first and stays");
            return Ok(first);
        }
        // Forced, or the old record's objects are missing or damaged.
        fs::rename(file, &path).with_context(|| format!("cannot write {}", path.display()))?;
        debug!(%key, stage, %content, forced = replace, "replaced the record of this key");
        Ok(record)
    }

    /// Copies a file from another file system to its place in the cache.
    fn copy(&self, path: &Path, digest: Digest) -> Result<()> {
        let object = self.object_path(digest);
        let folder = object.parent().unwrap_or(self.root());
        fs::create_dir_all(folder)?;
        let mut temporary = temporary_in(folder)?;
        let mut file = File::open(path)?;
        std::io::copy(&mut file, &mut temporary)?;
        // What was hashed is what arrived.
        let arrived = Digest::of_file(temporary.path())?.0;
        anyhow::ensure!(arrived == digest, "{} changed while it was copied into the cache", path.display());
        temporary.as_file().set_modified(file.metadata()?.modified()?)?;
        temporary.as_file().set_permissions(fs::Permissions::from_mode(0o444))?;
        temporary.persist(&object)?;
        Ok(fs::remove_file(path)?)
    }

    /// Moves one file into the cache: read-only, named by its hash, not flushed. Returns hash, size, and whether the object
    /// is new.
    fn put(&self, path: &Path) -> Result<(Digest, u64, bool)> {
        let (digest, size) = Digest::of_file(path)?;
        let object = self.object_path(digest);
        // An object that exists is read before it is trusted: otherwise a damaged one would never be replaced.
        if Digest::of_file(&object).is_ok_and(|(existing, _)| existing == digest) {
            return Ok((digest, size, false));
        }
        // Readable for the group that shares the cache, whatever permissions a program set.
        fs::set_permissions(path, fs::Permissions::from_mode(0o444))?;
        // A rename also replaces a damaged object.
        let mut renamed = fs::rename(path, &object);
        if renamed.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            fs::create_dir_all(object.parent().unwrap_or(self.root()))?;
            renamed = fs::rename(path, &object);
        }
        match renamed {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => self.copy(path, digest)?,
            renamed => renamed?,
        }
        Ok((digest, size, true))
    }
}
