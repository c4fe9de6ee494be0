//! Every record and every object read again, and what is damaged set aside.

use super::gate;
use super::gc::{Amount, weigh};
use super::kept;
use super::listing::{ObjectFile, RecordFile, files_in, folders_in};
use super::{Digest, Key, Store};
use anyhow::Result;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A record or object that is not what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which file of the cache, below its folder.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// The stages that it is the record of, or an output of, as `experiment/stage: path`.
    pub stages: Vec<String>,
    /// Where it was put, below the cache's folder; `None` where it could not be moved, or was not there at all.
    pub aside: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Whole records.
    pub records: usize,
    /// Records of other program versions, left alone.
    pub foreign: usize,
    /// Objects read.
    pub objects: Amount,
    /// Damaged and missing ones, in the order of their files.
    pub damaged: Vec<Damage>,
    /// Objects that no record names.
    pub unnamed: Amount,
    /// Temporary files, and work folders that nobody is at.
    pub leftovers: Amount,
}

/// Rehashes everything, in parallel, and moves what is damaged to `damaged/`, so that the next run makes it again.
/// `progress` is told the bytes read and those there are, from several threads.
///
/// # Errors
/// If a folder of the cache cannot be read.
pub fn verify(store: &Store, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Verified> {
    let mut verified = Verified::default();
    // Records before objects: what is published meanwhile is an object without a record, not a record without objects.
    let mut names: HashMap<Digest, Vec<String>> = HashMap::new();
    let mut named_by: BTreeMap<Digest, Vec<Key>> = BTreeMap::new();
    for file in store.record_files()? {
        match file {
            RecordFile::Whole(record) => {
                verified.records += 1;
                for output in &record.outputs {
                    let name = format!("{}: {}", record.made.stage, output.path);
                    names.entry(output.digest).or_default().push(name);
                    named_by.entry(output.digest).or_default().push(record.key);
                }
            }
            RecordFile::Foreign { objects, .. } => {
                verified.foreign += 1;
                for digest in objects {
                    names.entry(digest).or_default();
                }
            }
            RecordFile::Broken { path, stage } => verified.damaged.push(Damage {
                what: "is no whole record".to_owned(),
                stages: stage.into_iter().collect(),
                aside: set_aside(store, &path, None),
                file: below(store, &path),
            }),
        }
    }

    let mut objects = store.object_files()?;
    let is_temporary = |object: &ObjectFile| object.digest.is_none();
    for object in objects.iter().filter(|object| is_temporary(object)) {
        verified.leftovers += object.size;
    }
    objects.retain(|object| !is_temporary(object));
    // The largest first, so that no thread ends long after the others.
    objects.sort_by(|a, b| b.size.cmp(&a.size).then(a.path.cmp(&b.path)));
    let all: u64 = objects.iter().map(|object| object.size).sum();
    let read = AtomicU64::new(0);
    progress(0, all);
    let damaged = objects.par_iter().with_max_len(1).filter_map(|object| {
        let fault = fault_of(object);
        let done = read.fetch_add(object.size, Ordering::Relaxed) + object.size;
        progress(done, all);
        let (what, inode) = fault?;
        Some(Damage {
            what,
            stages: object.digest.and_then(|digest| names.get(&digest).cloned()).unwrap_or_default(),
            aside: set_aside(store, &object.path, Some(inode)),
            file: below(store, &object.path),
        })
    });
    verified.damaged.extend(damaged.collect::<Vec<_>>());

    let there: BTreeSet<Digest> = objects.iter().filter_map(|object| object.digest).collect();
    for object in &objects {
        verified.objects += object.size;
        if object.digest.is_some_and(|digest| !names.contains_key(&digest)) {
            verified.unnamed += object.size;
        }
    }
    for (&digest, keys) in named_by.iter().filter(|(digest, _)| !there.contains(digest)) {
        let path = store.object(digest);
        // One that was put there, or whose records were dropped, since.
        if path.exists() || keys.iter().all(|key| store.read_record(*key).is_none()) {
            continue;
        }
        verified.damaged.push(Damage {
            what: "is not there".to_owned(),
            stages: names.get(&digest).cloned().unwrap_or_default(),
            aside: None,
            file: below(store, &path),
        });
    }
    verified.damaged.sort_by(|a, b| a.file.cmp(&b.file));
    leftovers(store, &mut verified)?;
    Ok(verified)
}

/// What is wrong with an object, and the inode that was read. `None` for a whole one, and for one that has gone.
fn fault_of(object: &ObjectFile) -> Option<(String, u64)> {
    let inode = fs::metadata(&object.path).ok()?.ino();
    match Digest::of_file(&object.path) {
        Ok((digest, _)) if Some(digest) == object.digest => None,
        Ok((_, size)) => Some((format!("its {size} bytes are not those it was named by"), inode)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some((format!("cannot be read: {error}"), inode)),
    }
}

/// Moves a file to `damaged/`, unless a run has put a whole one in its place since `inode` was read.
fn set_aside(store: &Store, path: &Path, inode: Option<u64>) -> Option<PathBuf> {
    let folder = store.folder("damaged");
    fs::create_dir_all(&folder).ok()?;
    let is_same = |path: &Path| inode.is_none_or(|inode| fs::metadata(path).is_ok_and(|file| file.ino() == inode));
    if !is_same(path) {
        return None;
    }
    // An object's own name is in its folder's, too.
    let shard = path.parent().filter(|parent| parent.parent().is_some_and(|above| above.ends_with("objects")));
    let shard = shard.and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let target = folder.join(format!("{shard}{}", path.file_name()?.to_string_lossy()));
    fs::rename(path, &target).ok()?;
    if !is_same(&target) {
        // Replaced in that very moment: back with it.
        let _ = fs::rename(&target, path);
        return None;
    }
    Some(below(store, &target))
}

fn below(store: &Store, path: &Path) -> PathBuf {
    path.strip_prefix(store.root()).unwrap_or(path).to_owned()
}

/// Temporary files, and work folders of finished stages or dead processes.
fn leftovers(store: &Store, verified: &mut Verified) -> Result<()> {
    let mut folders = vec![store.root().to_owned()];
    folders.extend(["records", "last", "stat", kept::FOLDER].map(|name| store.folder(name)));
    for folder in folders {
        for path in files_in(&folder)?.into_iter().chain(folders_in(&folder)?) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp")) {
                verified.leftovers += weigh(&path).bytes;
            }
        }
    }
    for folder in folders_in(&store.folder("work"))? {
        let finished = gate::key_of(&folder).is_some_and(|key| store.find(key).is_some());
        let checkpoint = weigh(&folder.join("checkpoint")).count > 0;
        if !super::gc::is_locked(&folder.with_extension("lock")) && (finished || !checkpoint) {
            verified.leftovers += weigh(&folder).bytes;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{KEY_SCHEMA, KeyMaterial, Provenance, Record};

    fn publish(store: &Store, seed: u64, files: &[(&str, &str)]) -> Record {
        let folder = tempfile::tempdir_in(store.root()).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
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

    fn replace(path: &Path, bytes: &[u8]) {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn damaged_objects_and_records_are_named_and_set_aside_and_the_rest_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let records: Vec<Record> =
            (0..4).map(|seed| publish(&store, seed, &[("a", &format!("text {seed}")), ("b", "same")])).collect();
        let clean = verify(&store, &|_, _| {}).unwrap();
        assert_eq!((clean.records, clean.objects, clean.damaged.len()), (4, Amount { count: 5, bytes: 28 }, 0));
        // A flipped bit, a lost object, a torn record.
        let flipped = store.object(records[0].outputs[0].digest);
        replace(&flipped, b"tent 0");
        let lost = store.object(records[1].outputs[0].digest);
        fs::remove_file(&lost).unwrap();
        let torn = store.record_file(records[2].key);
        let text = fs::read(&torn).unwrap();
        fs::write(&torn, &text[..text.len() / 2]).unwrap();
        let found = verify(&store, &|done, all| assert!(done <= all)).unwrap();
        let mut named: Vec<(String, Vec<String>, bool)> =
            found.damaged.into_iter().map(|damage| (damage.what, damage.stages, damage.aside.is_some())).collect();
        named.sort();
        assert_eq!(
            named,
            [
                ("is no whole record".to_owned(), vec![], true),
                ("is not there".to_owned(), vec!["e/s@1: a".to_owned()], false),
                ("its 6 bytes are not those it was named by".to_owned(), vec!["e/s@0: a".to_owned()], true),
            ]
        );
        assert!(!flipped.exists() && !torn.exists());
        assert_eq!(fs::read_dir(dir.path().join("damaged")).unwrap().count(), 2);
        // The next run makes them again, and all is well.
        for seed in 0..3 {
            assert_eq!(store.find(records[seed as usize].key), None);
            publish(&store, seed, &[("a", &format!("text {seed}")), ("b", "same")]);
        }
        assert!(verify(&store, &|_, _| {}).unwrap().damaged.is_empty());
    }
}
