//! Objects and records on disk.

use super::{Digest, Gate, Key, KeyMaterial, Output, Provenance, Record, WorkFolder};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Layout of the folder; a program that finds another number refuses the cache with a sentence.
const LAYOUT: &str = "1";

/// A cache folder.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the cache at `root`, making it where there is none.
    ///
    /// # Errors
    /// If the folder cannot be made, or was laid out by another version of the program.
    pub fn open(root: &Path) -> Result<Self> {
        let store = Store { root: std::path::absolute(root)? };
        let version = store.root.join("layout");
        let known = match fs::read_to_string(&version) {
            Ok(text) if text.trim() == LAYOUT => true,
            Ok(text) => bail!(
                "the cache {} has layout {}, this program reads layout {LAYOUT}; name another folder with --cache",
                root.display(),
                text.trim()
            ),
            Err(_) => false,
        };
        // Also where the layout is known: somebody may have tidied an empty or a big folder away.
        for folder in ["objects", "records", "work", "stat", "last", "runs"] {
            let path = store.root.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("cannot make the cache folder {}", path.display()))?;
        }
        if known {
            return Ok(store);
        }
        // Backup programs skip folders that carry this tag (bford.info/cachedir).
        let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# Cache of matssl-run.\n";
        write_atomically(&store.root.join("CACHEDIR.TAG"), tag.as_bytes())?;
        write_atomically(&version, LAYOUT.as_bytes())?;
        Ok(store)
    }

    /// The cache's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of the layout, e.g. `"runs"`.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where the object of `digest` lies, if it is there.
    pub fn object(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root.join("objects").join(&hex[..2]).join(&hex[2..])
    }

    fn record_path(&self, key: Key) -> PathBuf {
        self.root.join("records").join(format!("{key}.json"))
    }

    /// The work folder of `key`: lock, checkpoints, attempts.
    pub fn work(&self, key: Key) -> WorkFolder {
        WorkFolder::new(self.root.join("work").join(key.to_string()))
    }

    /// The record of `key`, if there is one and every object it names is there with its size.
    ///
    /// A torn, foreign or incomplete record is no record: the stage runs again and nothing is misread.
    pub fn find(&self, key: Key) -> Option<Record> {
        let record = self.read_record(key)?;
        let whole = record
            .outputs
            .iter()
            .all(|output| fs::metadata(self.object(output.digest)).is_ok_and(|file| file.len() == output.size));
        whole.then_some(record)
    }

    /// The record of `key` without a look at its objects: what `explain` compares with.
    pub fn read_record(&self, key: Key) -> Option<Record> {
        let record: Record = serde_json::from_slice(&fs::read(self.record_path(key)).ok()?).ok()?;
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

    /// Where each file of a record lies: path inside the output → object.
    pub fn files(&self, record: &Record) -> BTreeMap<String, PathBuf> {
        record.outputs.iter().map(|output| (output.path.clone(), self.object(output.digest))).collect()
    }

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
        // Until the record names them, `gc` must not take objects that are there already.
        let _gate = Gate::shared(self).ok();
        let mut outputs = Vec::new();
        for path in files_below(folder)? {
            let (digest, size) =
                self.put(&path).with_context(|| format!("cannot take {} into the cache", path.display()))?;
            let name = path.strip_prefix(folder)?.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
            outputs.push(Output { path: name, digest, size });
        }
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        // Folders that were made for these objects, by whomever.
        sync_folder(&self.root.join("objects"))?;
        let key = material.key();
        let content = Record::content_of(&outputs);
        let record = Record { key, material, outputs, content, made, telemetry };
        let path = self.record_path(key);
        // In the attempt's folder, which somebody clears away: `records` holds what is finished and nothing else.
        let mut temporary = temporary_in(folder)?;
        serde_json::to_writer_pretty(&mut temporary, &record)?;
        temporary.flush()?;
        temporary.as_file().sync_all()?;
        // Linking fails where a record is already: the first one wins, atomically, with or without locks.
        match fs::hard_link(temporary.path(), &path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && replace => {
                fs::rename(temporary.path(), &path)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => match self.find(key) {
                Some(first) => return Ok(first),
                // A record whose objects are gone or damaged: ours replaces it.
                None => fs::rename(temporary.path(), &path)?,
            },
            Err(error) => return Err(error.into()),
        }
        sync_folder(&self.root.join("records"))?;
        Ok(record)
    }

    /// Takes one file into the cache: flushed, read-only, linked under its hash.
    fn put(&self, path: &Path) -> Result<(Digest, u64)> {
        let (digest, size) = Digest::of_file(path)?;
        let object = self.object(digest);
        // One that is there is read before it is trusted: only so does a damaged object ever get well.
        if Digest::of_file(&object).is_ok_and(|(there, _)| there == digest) {
            return Ok((digest, size));
        }
        let file = File::open(path)?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(path, permissions)?;
        file.sync_all()?;
        let folder = object.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        // A rename replaces a damaged object as well as it makes a new one.
        fs::rename(path, &object)?;
        sync_folder(folder)?;
        Ok((digest, size))
    }
}

/// All regular files below `folder`, sorted.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
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
fn temporary_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
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
    use crate::cache::KEY_SCHEMA;

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
