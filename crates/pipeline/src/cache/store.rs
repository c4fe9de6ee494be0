//! Objects and records on disk.

use super::scratch::{Pool, Scratch};
use super::stat_index::StatIndexes;
use super::{Digest, Key, KeyMaterial, Output, Record, WorkFolder};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Layout of the folder; a program that finds another number refuses the cache with a sentence.
const LAYOUT: &str = "1";

/// A cache folder.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// Private folders of this process; clones share them.
    pool: Arc<Pool>,
    /// What is remembered of files outside the cache; clones share that, too.
    digests: Arc<StatIndexes>,
}

impl Store {
    /// Opens the cache at `root`, making it where there is none.
    ///
    /// # Errors
    /// If the folder cannot be made, or was laid out by another version of the program.
    pub fn open(root: &Path) -> Result<Self> {
        let store = Store::at(root)?;
        store.make()?;
        Ok(store)
    }

    /// The cache at `root`, whether it is there or not: nothing is found in one that is not.
    ///
    /// # Errors
    /// If the folder was laid out by another version of the program.
    pub fn at(root: &Path) -> Result<Self> {
        let absolute = std::path::absolute(root)?;
        let store = Store {
            pool: Arc::new(Pool::new(absolute.join("work"))),
            digests: Arc::new(StatIndexes::new(absolute.join("stat"))),
            root: absolute,
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
        // Also where the layout is known: somebody may have tidied an empty or a big folder away.
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

    /// Opens the cache at `root` if there is one that this program can read; makes nothing new.
    pub fn existing(root: &Path) -> Option<Self> {
        root.join("layout").exists().then(|| Store::open(root).ok()).flatten()
    }

    /// The cache's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of the layout, e.g. `"runs"`.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The hashes of `files` of the data set that lies at `root`: of those that are unchanged since they were last hashed,
    /// without reading them.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn digests(&self, root: &Path, files: &[(String, PathBuf)]) -> Result<BTreeMap<String, Digest>> {
        self.digests.digests(root, files)
    }

    /// Writes down what [`Store::digests`] has learnt; otherwise that happens when the last clone is dropped.
    pub fn remember_digests(&self) {
        self.digests.write();
    }

    /// An empty folder of this process's own.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn private_folder(&self) -> Result<Arc<Scratch>> {
        self.pool.take().with_context(|| format!("cannot work in {}", self.root.display()))
    }

    /// This process's private folders stay when it ends: whoever outlives it calls [`super::remove_left`].
    pub fn leave_private_folders(&self) {
        self.pool.leave();
    }

    /// Where the object of `digest` lies, if it is there.
    pub fn object(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root.join("objects").join(&hex[..2]).join(&hex[2..])
    }

    pub(super) fn record_path(&self, key: Key) -> PathBuf {
        self.root.join("records").join(format!("{key}.json"))
    }

    /// The work folder of `key`: lock, checkpoints, attempts.
    pub fn work(&self, key: Key) -> WorkFolder {
        WorkFolder::new(self.root.join("work").join(key.to_string()), Arc::clone(&self.pool))
    }

    /// The record of `key`, if there is one and every object it names is there with its size.
    ///
    /// A torn, foreign or incomplete record is no record: the stage runs again and nothing is misread.
    pub fn find(&self, key: Key) -> Option<Record> {
        let record = self.read_record(key)?;
        self.has_objects(&record.outputs).then_some(record)
    }

    /// [`Store::find`] for the key of `material`, which spares the proof that the record's own material has that key.
    ///
    /// # Errors
    /// The material back, if there is no such record.
    pub fn find_made_of(&self, key: Key, material: Box<KeyMaterial>) -> Result<Record, Box<KeyMaterial>> {
        let read = || -> Option<Record> { Record::from_bytes(&fs::read(self.record_path(key)).ok()?) };
        let right = |record: &Record| record.key == key && record.material == *material;
        let whole = |record: &Record| {
            record.content == Record::content_of(&record.outputs) && self.has_objects(&record.outputs)
        };
        read().filter(|record| right(record) && whole(record)).ok_or(material)
    }

    pub(super) fn has_objects(&self, outputs: &[Output]) -> bool {
        let is_there =
            |output: &Output| fs::metadata(self.object(output.digest)).is_ok_and(|file| file.len() == output.size);
        outputs.iter().all(is_there)
    }

    /// The record of `key` without a look at its objects: what `explain` compares with.
    pub fn read_record(&self, key: Key) -> Option<Record> {
        let record = Record::from_bytes(&fs::read(self.record_path(key)).ok()?)?;
        (record.key == key && record.material.key() == key && record.content == Record::content_of(&record.outputs))
            .then_some(record)
    }

    /// The first file of `record` whose bytes are not what the record says, if there is one. Reads every object that
    /// is not in `whole` yet, and adds those that are.
    pub fn damaged<'r>(&self, record: &'r Record, whole: &mut BTreeSet<Digest>) -> Option<&'r Output> {
        record.outputs.iter().find(|output| {
            if whole.contains(&output.digest) {
                return false;
            }
            let same = Digest::of_file(&self.object(output.digest)).is_ok_and(|(digest, _)| digest == output.digest);
            if same {
                whole.insert(output.digest);
            }
            !same
        })
    }

    /// The bytes of a file that a record names, if they are those.
    ///
    /// # Errors
    /// If they are not, with what helps, or cannot be read.
    pub fn read(&self, output: &Output) -> Result<Vec<u8>> {
        let (path, object) = (&output.path, self.object(output.digest));
        let bytes = fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
        if Digest::of(&bytes) != output.digest {
            bail!(
                "{path} is damaged in the cache ({}); `matssl-run cache verify` sets aside what is, and the next run makes it \
                 anew",
                object.display()
            );
        }
        Ok(bytes)
    }

    /// Where each file of a record lies: path inside the output → object.
    pub fn files(&self, record: &Record) -> BTreeMap<String, PathBuf> {
        record.outputs.iter().map(|output| (output.path.clone(), self.object(output.digest))).collect()
    }
}

/// Writes a file so that any reader at any moment sees the old one, none, or the new one whole.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = temporary_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    sync_folder(folder)
}

/// A temporary file that others may read once it has its name: a cache is shared by a group.
pub(super) fn temporary_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    tempfile::Builder::new().permissions(readable).tempfile_in(folder)
}

/// Makes renames and links in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all().with_context(|| format!("cannot flush {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{KEY_SCHEMA, Provenance};

    fn material(seed: u64) -> KeyMaterial {
        KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "toy".into(),
            code_version: 1,
            params: serde_json::json!({}),
            seed: Some(seed),
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    fn publish(store: &Store, seed: u64, files: &[(&str, &str)]) -> Record {
        let folder = tempfile::tempdir_in(store.root()).unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        store.publish(material(seed), folder.path(), Provenance::default(), BTreeMap::new(), false).unwrap()
    }

    #[test]
    fn what_was_published_is_found_with_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
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
    fn the_first_record_wins() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let first = publish(&store, 0, &[("a", "first")]);
        assert_eq!(publish(&store, 0, &[("a", "second")]), first);
    }

    #[test]
    fn a_record_counts_only_while_its_objects_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let record = publish(&store, 0, &[("a", "text")]);
        let object = store.object(record.outputs[0].digest);
        fs::remove_file(&object).unwrap();
        assert_eq!(store.find(record.key), None);
        fs::write(&object, "tex").unwrap();
        assert_eq!(store.find(record.key), None);
        assert_eq!(publish(&store, 0, &[("a", "text")]).content, record.content);
        assert!(store.find(record.key).is_some());
    }

    #[test]
    fn a_damaged_object_of_the_right_size_is_named_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let record = publish(&store, 0, &[("a", "text"), ("b", "other")]);
        let object = store.object(record.outputs[0].digest);
        fs::remove_file(&object).unwrap();
        fs::write(&object, "tent").unwrap();
        let named = |whole: &mut BTreeSet<Digest>| store.damaged(&record, whole).map(|output| output.path.clone());
        assert_eq!(named(&mut BTreeSet::new()).as_deref(), Some("a"));
        assert_eq!(named(&mut BTreeSet::from([record.outputs[0].digest])), None, "known to be whole: not read again");
        publish(&store, 0, &[("a", "text"), ("b", "other")]);
        assert_eq!(fs::read_to_string(&object).unwrap(), "text");
        assert_eq!(named(&mut BTreeSet::new()), None);
    }

    #[test]
    fn a_forced_record_takes_the_place_of_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        publish(&store, 0, &[("a", "first")]);
        let folder = tempfile::tempdir_in(store.root()).unwrap();
        fs::write(folder.path().join("a"), "second").unwrap();
        let second = store.publish(material(0), folder.path(), Provenance::default(), BTreeMap::new(), true).unwrap();
        assert_eq!(store.find(second.key), Some(second));
    }

    #[test]
    fn folders_that_went_missing_are_made_again() {
        let dir = tempfile::tempdir().unwrap();
        Store::open(dir.path()).unwrap();
        fs::remove_dir(dir.path().join("last")).unwrap();
        publish(&Store::open(dir.path()).unwrap(), 0, &[("a", "text")]);
        assert!(dir.path().join("last").exists());
    }

    #[test]
    fn a_torn_or_edited_record_is_no_record() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = publish(&store, 0, &[("a", "text")]).key;
        let path = store.record_path(key);
        let text = fs::read_to_string(&path).unwrap();
        for broken in [&text[..text.len() / 2], "", "{}", &text.replace("\"toy\"", "\"other\"")] {
            fs::write(&path, broken).unwrap();
            assert_eq!(store.find(key), None, "{broken}");
        }
        publish(&store, 0, &[("a", "text")]);
        assert!(store.find(key).is_some());
    }

    #[test]
    fn a_cache_of_another_layout_is_refused_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("layout"), "99").unwrap();
        let message = Store::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("layout 99") && message.contains("--cache"), "{message}");
    }
}
