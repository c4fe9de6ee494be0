//! The cache folder: its layout, its records and its objects.

use super::adopted::Adopted;
use super::durable::write_atomically;
use super::scratch::{Pool, Scratch};
use super::stat_index::StatIndexes;
use super::{Digest, Key, KeyMaterial, Output, Record, WorkFolder};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::debug;

/// Version of the folder's layout. A cache with another version is refused.
const LAYOUT: &str = "1";

/// A cache folder.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// Private folders of this process, shared by all clones.
    pool: Arc<Pool>,
    /// Whether these lie outside of the cache, perhaps on another file system.
    pub(super) has_scratch: bool,
    /// Remembered hashes of files outside the cache, shared by all clones.
    stat_indexes: Arc<StatIndexes>,
    /// The cache that several machines share, if there is one behind this.
    pub(super) remote: Option<Arc<Adopted>>,
}

impl Store {
    /// Opens the cache at `root`, and makes it if there is none.
    ///
    /// # Errors
    /// If the folder cannot be made, or has the layout of another version of the program.
    pub fn open(root: &Path) -> Result<Self> {
        let store = Store::at(root)?;
        store.make()?;
        Ok(store)
    }

    /// The cache at `root`, which need not exist: nothing is found in a cache that does not.
    ///
    /// # Errors
    /// If the folder has the layout of another version of the program.
    pub fn at(root: &Path) -> Result<Self> {
        let absolute = std::path::absolute(root)?;
        let store = Store {
            pool: Arc::new(Pool::new(absolute.join("work"))),
            has_scratch: false,
            stat_indexes: Arc::new(StatIndexes::new(absolute.join("stat"))),
            root: absolute,
            remote: None,
        };
        match fs::read_to_string(store.layout()) {
            Ok(text) if text.trim() != LAYOUT => bail!(
                "the cache {} has layout {}, this program reads layout {LAYOUT}; name another folder with --cache",
                root.display(),
                text.trim()
            ),
            _ => Ok(store),
        }
    }

    /// Makes the folders that are missing.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn make(&self) -> Result<()> {
        // Also in a cache with a known layout: somebody may have removed an empty or a large folder.
        for folder in ["objects", "records", "work", "stat", "last", "runs"] {
            let path = self.root.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("cannot make the cache folder {}", path.display()))?;
        }
        if self.layout().exists() {
            return Ok(());
        }
        // Backup programs skip folders that carry this tag (bford.info/cachedir).
        let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# Cache of matssl-run.\n";
        write_atomically(&self.root.join("CACHEDIR.TAG"), tag.as_bytes())?;
        write_atomically(&self.layout(), LAYOUT.as_bytes())
    }

    fn layout(&self) -> PathBuf {
        self.root.join("layout")
    }

    /// Opens the cache at `root` if there is one that this program can read. Makes no new cache.
    pub fn existing(root: &Path) -> Option<Self> {
        root.join("layout").exists().then(|| Store::open(root).ok()).flatten()
    }

    /// The same cache with private folders in `scratch`, e.g. on a node's own disk. Checkpoints stay in the cache.
    ///
    /// # Errors
    /// If that folder cannot be made.
    pub fn with_scratch(self, scratch: &Path) -> Result<Self> {
        fs::create_dir_all(scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
        Ok(Store { pool: Arc::new(Pool::new(scratch.to_owned())), has_scratch: true, ..self })
    }

    /// The cache's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of the layout, e.g. `"runs"`.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The hashes of `files` (name inside the data set, path) of the data set at `root`. Files that are unchanged since they
    /// were last hashed are not read.
    ///
    /// # Errors
    /// [`UnreadableFile`](super::UnreadableFile) if a file cannot be read.
    pub fn digests(&self, root: &Path, files: &[(String, PathBuf)]) -> Result<BTreeMap<String, Digest>> {
        self.stat_indexes.digests(root, files)
    }

    /// Writes the hashes that [`Store::digests`] has learnt to disk. This also happens when the last clone is dropped.
    pub fn remember_digests(&self) {
        self.stat_indexes.write();
    }

    /// An empty folder that only this process uses.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn private_folder(&self) -> Result<Arc<Scratch>> {
        self.pool.take().with_context(|| format!("cannot work in {}", self.root.display()))
    }

    /// Leaves this process's private folders where they are when it ends. A process that outlives it must call
    /// [`super::remove_dead`].
    pub fn leave_private_folders(&self) {
        self.pool.leave();
    }

    /// Path of the object with this hash, to read it, whether it exists or not. If only the remote has it, it is brought
    /// first.
    pub fn object(&self, digest: Digest) -> PathBuf {
        self.bring(digest);
        self.object_path(digest)
    }

    /// Path of the object with this hash, whether it exists or not.
    pub(super) fn object_path(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root.join("objects").join(&hex[..2]).join(&hex[2..])
    }

    /// Path of the record of `key`, whether it exists or not.
    pub fn record_file(&self, key: Key) -> PathBuf {
        self.root.join("records").join(format!("{key}.json"))
    }

    /// The work folder of `key`, with its lock and its checkpoints.
    pub fn work(&self, key: Key) -> WorkFolder {
        WorkFolder::new(self.root.join("work").join(key.to_string()), Arc::clone(&self.pool))
    }

    /// The record of `key`, if there is one and every object that it names exists with the right size, or the remote has it.
    ///
    /// A record that is damaged or names a missing object does not count: the stage runs again.
    pub fn find(&self, key: Key) -> Option<Record> {
        self.find_here(key).or_else(|| self.only_remote(key).map(Arc::unwrap_or_clone))
    }

    /// As [`Store::find`], but only on this disk.
    pub fn find_here(&self, key: Key) -> Option<Record> {
        let Some(record) = self.read_record(key) else {
            debug!(%key, "no record of this key");
            return None;
        };
        self.with_objects(record)
    }

    /// The same as [`Store::find`] for the key of `material`, but does not compute the key of the record's own material.
    ///
    /// # Errors
    /// Gives the material back if there is no such record.
    pub fn find_made_of(&self, key: Key, material: Box<KeyMaterial>) -> Result<Record, Box<KeyMaterial>> {
        let record = fs::read(self.record_file(key)).ok().and_then(|bytes| Record::from_bytes(&bytes));
        let is_right = |record: &Record| {
            record.key == key && record.material == *material && record.content == Record::content_of(&record.outputs)
        };
        let Some(record) = record.filter(is_right) else {
            debug!(%key, kind = material.kind, "no record of this key");
            return self.only_remote(key).map(Arc::unwrap_or_clone).ok_or(material);
        };
        self.with_objects(record).or_else(|| self.only_remote(key).map(Arc::unwrap_or_clone)).ok_or(material)
    }

    /// The record, if all of its objects exist.
    fn with_objects(&self, record: Record) -> Option<Record> {
        let (key, stage) = (record.key, &record.made.stage);
        match self.missing_object(&record.outputs) {
            Some(Output { path, digest, .. }) => {
                debug!(%key, stage, path, object = %digest, "found a record, but its object is missing or has the wrong size");
                None
            }
            None => {
                debug!(%key, stage, host = record.made.host, "found the record of this key");
                Some(record)
            }
        }
    }

    /// The first output whose object is missing or has the wrong size.
    pub(super) fn missing_object<'o>(&self, outputs: &'o [Output]) -> Option<&'o Output> {
        let exists =
            |output: &Output| fs::metadata(self.object_path(output.digest)).is_ok_and(|file| file.len() == output.size);
        outputs.iter().find(|output| !exists(output))
    }

    /// The record of `key`; its objects may be missing. This is what `explain` compares with.
    pub fn read_record(&self, key: Key) -> Option<Record> {
        let record = Record::from_bytes(&fs::read(self.record_file(key)).ok()?)?;
        (record.key == key && record.is_consistent()).then_some(record)
    }

    /// The bytes of the record of `key`, as they are on disk.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn record_bytes(&self, key: Key) -> Result<Vec<u8>> {
        let path = self.record_file(key);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The first output of `record` whose content does not match its hash. Reads every object that is not in `verified` yet,
    /// and adds those that match.
    pub fn damaged<'r>(&self, record: &'r Record, verified: &mut BTreeSet<Digest>) -> Option<&'r Output> {
        record.outputs.iter().find(|output| {
            if verified.contains(&output.digest) {
                return false;
            }
            let matches = Digest::of_file(&self.object(output.digest)).is_ok_and(|(digest, _)| digest == output.digest);
            if matches {
                verified.insert(output.digest);
            }
            !matches
        })
    }

    /// The content of an output, checked against its hash.
    ///
    /// # Errors
    /// If it does not match, with what the user can do, or if it cannot be read.
    pub fn read(&self, output: &Output) -> Result<Vec<u8>> {
        let (path, object) = (&output.path, self.object(output.digest));
        let bytes = fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
        if Digest::of(&bytes) != output.digest {
            bail!(
                "{path} is damaged in the cache ({}); `matssl-run cache verify` sets damaged files aside, and the next run \
                 makes them again",
                object.display()
            );
        }
        Ok(bytes)
    }

    /// Path of each output's object, to read them: path inside the output → path on disk. If only the remote has them, they are
    /// brought first, several at a time.
    pub fn files(&self, record: &Record) -> BTreeMap<String, PathBuf> {
        if let Some(record) = self.only_remote(record.key) {
            // Who reads a file that cannot be had finds it missing.
            let _ = self.fetch(&[record]);
        }
        record.outputs.iter().map(|output| (output.path.clone(), self.object_path(output.digest))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Stage, empty_cache, material, publish, replace_object};
    use super::*;

    #[test]
    fn a_published_stage_is_found_with_its_files() {
        let (dir, store) = empty_cache();
        assert_eq!(store.find(material(0).key()), None);
        let record = publish(&store, 0, &[("b.txt", "B"), ("a/c.txt", "C")]);
        let found = Store::open(dir.path()).unwrap().find(material(0).key()).unwrap();
        assert_eq!(found, record);
        let files = store.files(&found);
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a/c.txt", "b.txt"]);
        assert_eq!(fs::read_to_string(&files["a/c.txt"]).unwrap(), "C");
        assert!(fs::metadata(&files["b.txt"]).unwrap().permissions().readonly());
    }

    #[test]
    fn the_first_record_of_a_key_stays() {
        let (_dir, store) = empty_cache();
        let first = publish(&store, 0, &[("a", "first")]);
        assert_eq!(publish(&store, 0, &[("a", "second")]), first);
    }

    #[test]
    fn a_record_is_found_only_while_its_objects_are_complete() {
        let (_dir, store) = empty_cache();
        let record = publish(&store, 0, &[("a", "text")]);
        let object = store.object(record.outputs[0].digest);
        fs::remove_file(&object).unwrap();
        assert_eq!(store.find(record.key), None);
        assert_eq!(store.find_made_of(record.key, Box::new(material(0))), Err(Box::new(material(0))));
        fs::write(&object, "tex").unwrap();
        assert_eq!(store.find(record.key), None);
        assert_eq!(publish(&store, 0, &[("a", "text")]).content, record.content);
        assert!(store.find(record.key).is_some());
        assert!(store.find_made_of(record.key, Box::new(material(0))).is_ok());
    }

    #[test]
    fn a_damaged_object_of_the_right_size_is_named_and_replaced() {
        let (_dir, store) = empty_cache();
        let record = publish(&store, 0, &[("a", "text"), ("b", "other")]);
        let digest = record.outputs[0].digest;
        replace_object(&store, digest, b"tent");
        let damaged =
            |verified: &mut BTreeSet<Digest>| store.damaged(&record, verified).map(|output| output.path.clone());
        assert_eq!(damaged(&mut BTreeSet::new()).as_deref(), Some("a"));
        assert_eq!(damaged(&mut BTreeSet::from([digest])), None, "verified before, so it is not read again");
        publish(&store, 0, &[("a", "text"), ("b", "other")]);
        assert_eq!(fs::read_to_string(store.object(digest)).unwrap(), "text");
        assert_eq!(damaged(&mut BTreeSet::new()), None);
    }

    #[test]
    fn a_forced_record_replaces_the_old_one() {
        let (_dir, store) = empty_cache();
        publish(&store, 0, &[("a", "first")]);
        let second = Stage { replace: true, ..Stage::new(0, &[("a", "second")]) }.publish(&store);
        assert_eq!(store.find(second.key), Some(second));
    }

    #[test]
    fn missing_folders_are_made_again() {
        let (dir, _) = empty_cache();
        fs::remove_dir(dir.path().join("last")).unwrap();
        publish(&Store::open(dir.path()).unwrap(), 0, &[("a", "text")]);
        assert!(dir.path().join("last").exists());
    }

    #[test]
    fn a_cut_or_edited_record_does_not_count() {
        let (_dir, store) = empty_cache();
        let key = publish(&store, 0, &[("a", "text")]).key;
        let path = store.record_file(key);
        let text = fs::read_to_string(&path).unwrap();
        for broken in [&text[..text.len() / 2], "", "{}", &text.replace("\"toy\"", "\"other\"")] {
            fs::write(&path, broken).unwrap();
            assert_eq!(store.find(key), None, "{broken}");
        }
        publish(&store, 0, &[("a", "text")]);
        assert!(store.find(key).is_some());
    }

    #[test]
    fn a_cache_of_another_layout_is_refused_with_an_explanation() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("layout"), "99").unwrap();
        let message = Store::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("layout 99") && message.contains("--cache"), "{message}");
    }
}
