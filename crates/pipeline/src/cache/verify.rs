//! `verify`: reads every record and object again, and moves damaged files aside.

use super::disk_usage::disk_usage;
use super::folder::folders_in;
use super::object_files::ObjectFile;
use super::record_files::RecordFile;
use super::temporary_files::temporary_files;
use super::work_folder::{is_locked, key_of};
use super::{Amount, Digest, Key, Store};
use anyhow::Result;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::debug;

/// A damaged or missing file of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its path inside the cache.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
    /// The stages that it is the record of, as `experiment/stage`, or an output of, as `experiment/stage: path`.
    pub stages: Vec<String>,
    /// Where it was moved to, inside the cache; `None` if it could not be moved or is missing.
    pub moved_to: Option<PathBuf>,
}

/// What is wrong with a file of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not a complete record.
    BrokenRecord,
    /// A record names it, but it does not exist.
    Missing,
    /// Its content, of this many bytes, does not match its hash.
    WrongContent(u64),
    /// It cannot be read, for this reason.
    Unreadable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::BrokenRecord => f.write_str("is not a complete record"),
            Fault::Missing => f.write_str("is missing"),
            Fault::WrongContent(size) => write!(f, "has a content of {size} bytes that does not match its hash"),
            Fault::Unreadable(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

/// The result of [`verify`].
#[derive(Debug, Default)]
pub struct Verified {
    /// Number of intact records.
    pub records: usize,
    /// Number of records of other program versions, which are left alone.
    pub foreign: usize,
    /// Objects that were read.
    pub objects: Amount,
    /// Damaged and missing files, ordered by path.
    pub damaged: Vec<Damage>,
    /// Objects that no record names.
    pub unnamed: Amount,
    /// Temporary files, and work folders that no process uses.
    pub leftovers: Amount,
}

/// Hashes all objects again, in parallel, and moves damaged files to `damaged/`, so that the next run makes them again.
/// `progress` gets the number of bytes that were read and the number of all bytes, from several threads.
///
/// # Errors
/// If a folder of the cache cannot be read.
pub fn verify(store: &Store, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Verified> {
    let mut verified = Verified::default();
    // Records before objects: a stage published meanwhile then looks like an object without a record, which is no fault, and
    // not like a record without objects.
    let names = ObjectNames::read(store, &mut verified)?;
    let (mut objects, temporary): (Vec<_>, Vec<_>) =
        store.object_files()?.into_iter().partition(|object| object.digest.is_some());
    temporary.iter().for_each(|file| verified.leftovers += file.size);
    // The largest first, so that no thread ends long after the others.
    objects.sort_by(|a, b| b.size.cmp(&a.size).then(a.path.cmp(&b.path)));
    verified.damaged.extend(damaged_objects(store, &objects, &names, progress));
    for object in &objects {
        verified.objects += object.size;
        if object.digest.is_some_and(|digest| !names.by_object.contains_key(&digest)) {
            verified.unnamed += object.size;
        }
    }
    let existing: BTreeSet<Digest> = objects.iter().filter_map(|object| object.digest).collect();
    verified.damaged.extend(names.missing(store, &existing));
    verified.damaged.sort_by(|a, b| a.file.cmp(&b.file));
    for Damage { file, fault, moved_to, .. } in &verified.damaged {
        debug!(file = %file.display(), %fault, ?moved_to, "damaged");
    }
    find_leftovers(store, &mut verified)?;
    Ok(verified)
}

/// What the records say about objects.
#[derive(Default)]
struct ObjectNames {
    /// The outputs that each object holds, as `experiment/stage: path`. Objects that only records of other program versions
    /// name hold none.
    by_object: HashMap<Digest, Vec<String>>,
    /// The keys of the records that name each object.
    keys: BTreeMap<Digest, Vec<Key>>,
}

impl ObjectNames {
    /// Reads all records. Broken ones are moved aside and added to the damage.
    fn read(store: &Store, verified: &mut Verified) -> Result<Self> {
        let mut names = ObjectNames::default();
        for file in store.record_files()? {
            match file {
                RecordFile::Intact(record) => {
                    verified.records += 1;
                    for output in &record.outputs {
                        let name = format!("{}: {}", record.made.stage, output.path);
                        names.by_object.entry(output.digest).or_default().push(name);
                        names.keys.entry(output.digest).or_default().push(record.key);
                    }
                }
                RecordFile::Foreign { objects } => {
                    verified.foreign += 1;
                    for digest in objects {
                        names.by_object.entry(digest).or_default();
                    }
                }
                RecordFile::Broken { path, stage } => verified.damaged.push(Damage {
                    fault: Fault::BrokenRecord,
                    stages: stage.into_iter().collect(),
                    moved_to: move_aside(store, &path, None),
                    file: inside(store, &path),
                }),
            }
        }
        Ok(names)
    }

    fn of(&self, digest: Digest) -> Vec<String> {
        self.by_object.get(&digest).cloned().unwrap_or_default()
    }

    /// The objects that a record names but that do not exist.
    fn missing(&self, store: &Store, existing: &BTreeSet<Digest>) -> Vec<Damage> {
        let mut missing = Vec::new();
        for (&digest, keys) in self.keys.iter().filter(|(digest, _)| !existing.contains(digest)) {
            let path = store.object(digest);
            // An object may have been put there, or its records removed, since the records were read.
            if path.exists() || keys.iter().all(|key| store.read_record(*key).is_none()) {
                continue;
            }
            let file = inside(store, &path);
            missing.push(Damage { file, fault: Fault::Missing, stages: self.of(digest), moved_to: None });
        }
        missing
    }
}

/// Reads all `objects` and moves the damaged ones aside.
fn damaged_objects(
    store: &Store,
    objects: &[ObjectFile],
    names: &ObjectNames,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Vec<Damage> {
    let all: u64 = objects.iter().map(|object| object.size).sum();
    let read = AtomicU64::new(0);
    progress(0, all);
    let check = |object: &ObjectFile| {
        let fault = fault_of(object);
        let done = read.fetch_add(object.size, Ordering::Relaxed) + object.size;
        progress(done, all);
        let (fault, inode) = fault?;
        Some(Damage {
            fault,
            stages: object.digest.map(|digest| names.of(digest)).unwrap_or_default(),
            moved_to: move_aside(store, &object.path, Some(inode)),
            file: inside(store, &object.path),
        })
    };
    objects.par_iter().with_max_len(1).filter_map(check).collect()
}

/// What is wrong with an object, and the inode that was read. `None` if nothing is wrong or the object was removed meanwhile.
fn fault_of(object: &ObjectFile) -> Option<(Fault, u64)> {
    let inode = fs::metadata(&object.path).ok()?.ino();
    match Digest::of_file(&object.path) {
        Ok((digest, _)) if Some(digest) == object.digest => None,
        Ok((_, size)) => Some((Fault::WrongContent(size), inode)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some((Fault::Unreadable(error.to_string()), inode)),
    }
}

/// Moves a file to `damaged/`, unless a run has replaced it since `inode` was read. Returns its new path inside the cache.
fn move_aside(store: &Store, path: &Path, inode: Option<u64>) -> Option<PathBuf> {
    let folder = store.folder("damaged");
    fs::create_dir_all(&folder).ok()?;
    let is_same = |path: &Path| inode.is_none_or(|inode| fs::metadata(path).is_ok_and(|file| file.ino() == inode));
    if !is_same(path) {
        return None;
    }
    // The name of an object begins in the name of its folder.
    let shard = path.parent().filter(|parent| parent.parent().is_some_and(|above| above.ends_with("objects")));
    let shard = shard.and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let target = folder.join(format!("{shard}{}", path.file_name()?.to_string_lossy()));
    fs::rename(path, &target).ok()?;
    if !is_same(&target) {
        // It was replaced between the check and the move: the new file goes back.
        let _ = fs::rename(&target, path);
        return None;
    }
    Some(inside(store, &target))
}

/// `path` relative to the cache's folder.
fn inside(store: &Store, path: &Path) -> PathBuf {
    path.strip_prefix(store.root()).unwrap_or(path).to_owned()
}

/// Counts temporary files, and work folders of finished stages or ended processes.
fn find_leftovers(store: &Store, verified: &mut Verified) -> Result<()> {
    for path in temporary_files(store)? {
        verified.leftovers += disk_usage(&path).files.bytes;
    }
    for folder in folders_in(&store.folder("work"))? {
        let is_finished = key_of(&folder).is_some_and(|key| store.find(key).is_some());
        let has_checkpoint = disk_usage(&folder.join("checkpoint")).files.count > 0;
        if !is_locked(&folder.with_extension("lock")) && (is_finished || !has_checkpoint) {
            verified.leftovers += disk_usage(&folder).files.bytes;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::super::fixtures::{empty_cache, publish, replace_object};
    use super::*;

    #[test]
    fn damaged_files_are_named_and_moved_aside_and_all_others_stay() {
        let (dir, store) = empty_cache();
        let texts = [0, 1, 2, 3].map(|seed| format!("text {seed}"));
        let publish = |seed: usize| publish(&store, seed as u64, &[("a", &texts[seed]), ("b", "same")]);
        let records: Vec<Record> = (0..4).map(publish).collect();
        let clean = verify(&store, &|_, _| {}).unwrap();
        assert_eq!((clean.records, clean.objects, clean.damaged.len()), (4, Amount { count: 5, bytes: 28 }, 0));
        // A flipped bit, a missing object, an incomplete record.
        let flipped = records[0].outputs[0].digest;
        replace_object(&store, flipped, b"tent 0");
        fs::remove_file(store.object(records[1].outputs[0].digest)).unwrap();
        let incomplete = store.record_file(records[2].key);
        let text = fs::read(&incomplete).unwrap();
        fs::write(&incomplete, &text[..text.len() / 2]).unwrap();
        let found = verify(&store, &|done, all| assert!(done <= all)).unwrap();
        let mut named: Vec<(String, Vec<String>, bool)> = found
            .damaged
            .into_iter()
            .map(|damage| (damage.fault.to_string(), damage.stages, damage.moved_to.is_some()))
            .collect();
        named.sort();
        assert_eq!(
            named,
            [
                ("has a content of 6 bytes that does not match its hash".to_owned(), vec!["e/s@0: a".to_owned()], true),
                ("is missing".to_owned(), vec!["e/s@1: a".to_owned()], false),
                ("is not a complete record".to_owned(), vec![], true),
            ]
        );
        assert!(!store.object(flipped).exists() && !incomplete.exists());
        assert_eq!(fs::read_dir(dir.path().join("damaged")).unwrap().count(), 2);
        // The next run makes them again, and nothing is damaged any more.
        for (seed, record) in records.iter().enumerate().take(3) {
            assert_eq!(store.find(record.key), None);
            publish(seed);
        }
        assert!(verify(&store, &|_, _| {}).unwrap().damaged.is_empty());
    }
}
