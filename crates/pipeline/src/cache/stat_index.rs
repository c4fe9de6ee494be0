//! Hashes of files outside the cache, remembered by (path, size, mtime, ctime, inode).

use super::Digest;
use super::store::temporary_in;
use anyhow::{Context as _, Result};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::Metadata;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// What stands at the top of an index, before the hash of all other lines; another line there is another format, or a
/// damaged index, and counts as an empty one.
const HEADER: &str = "matssl-run stat index 3";

/// A file written this shortly before it was hashed may change again without its times showing it (the clock of the
/// file system is coarse): its hash is used but not remembered.
const SETTLE: Duration = Duration::from_secs(2);

/// The indexes that this process has read: one for each folder that files lie in. Forgetting costs a read, never a wrong
/// hash, so they are written now and then, unflushed, and a cache that cannot be written is no reason to stop.
#[derive(Debug)]
pub(super) struct StatIndexes {
    folder: PathBuf,
    settle: Duration,
    open: Mutex<HashMap<PathBuf, Arc<Mutex<StatIndex>>>>,
}

/// The remembered hashes of the files below one folder. On disk: a line a file, its name last.
#[derive(Debug)]
struct StatIndex {
    path: PathBuf,
    entries: HashMap<String, Entry>,
    /// What was learnt since it was read; `None` is to be forgotten.
    learnt: BTreeMap<String, Option<Entry>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    digest: Digest,
    stamp: Stamp,
}

/// What tells that a file is still what it was: size, mtime, ctime (of the last change of any kind: it shows a change that
/// gave the file its old mtime back), both in seconds and nanoseconds, and inode.
pub(super) type Stamp = [i64; 6];

impl StatIndexes {
    /// In the cache's folder for them.
    pub(super) fn new(folder: PathBuf) -> Self {
        StatIndexes { folder, settle: SETTLE, open: Mutex::default() }
    }

    /// The hash of each file: from the index where size, times and inode are unchanged, else by reading (in
    /// parallel), and then remembered.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn digests(&self, root: &Path, files: &[(String, PathBuf)]) -> Result<BTreeMap<String, Digest>> {
        let index = self.index(root);
        // Not locked while files are looked up: a thread that waits for others may be given work that looks here, too.
        let known: Vec<Option<Entry>> = {
            let index = lock(&index);
            files.iter().map(|(name, _)| index.entries.get(name).cloned()).collect()
        };
        let look_up = |((_, path), known): (&(String, PathBuf), Option<Entry>)| {
            look_up(path, known, self.settle).with_context(|| format!("cannot read {}", path.display()))
        };
        let found = match files.len() {
            0..16 => files.iter().zip(known).map(look_up).collect::<Result<Vec<_>>>()?,
            _ => files.par_iter().zip(known).map(look_up).collect::<Result<Vec<_>>>()?,
        };
        let mut index = lock(&index);
        let mut digests = BTreeMap::new();
        for ((name, _), (entry, settled)) in files.iter().zip(found) {
            digests.insert(name.clone(), entry.digest);
            let remembered = settled.then_some(entry);
            if index.entries.get(name) != remembered.as_ref() {
                match &remembered {
                    Some(entry) => drop(index.entries.insert(name.clone(), entry.clone())),
                    None => drop(index.entries.remove(name)),
                }
                index.learnt.insert(name.clone(), remembered);
            }
        }
        Ok(digests)
    }

    /// The index of what lies at `root`.
    fn index(&self, root: &Path) -> Arc<Mutex<StatIndex>> {
        let mut open = lock(&self.open);
        if let Some(index) = open.get(root) {
            return Arc::clone(index);
        }
        let name = Digest::of(root.as_os_str().as_encoded_bytes()).short();
        let path = self.folder.join(format!("{name}.txt"));
        let index = StatIndex { entries: read(&path), path, learnt: BTreeMap::new() };
        let index = Arc::new(Mutex::new(index));
        open.insert(root.to_owned(), Arc::clone(&index));
        index
    }

    /// Writes down what was learnt.
    pub(super) fn write(&self) {
        for index in lock(&self.open).values() {
            lock(index).write();
        }
    }
}

impl Drop for StatIndexes {
    fn drop(&mut self) {
        self.write();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StatIndex {
    fn write(&mut self) {
        if self.learnt.is_empty() {
            return;
        }
        // Another data set may lie in the same folder: what is remembered of its files stays, also what another process
        // has learnt since.
        self.entries = read(&self.path);
        for (name, entry) in std::mem::take(&mut self.learnt) {
            match entry {
                Some(entry) => drop(self.entries.insert(name, entry)),
                None => drop(self.entries.remove(&name)),
            }
        }
        let mut lines = String::new();
        for (name, Entry { digest, stamp }) in self.entries.iter().filter(|(name, _)| !name.contains('\n')) {
            let [size, mtime, mtime_nsec, ctime, ctime_nsec, inode] = stamp;
            let _ = writeln!(lines, "{digest} {size} {mtime} {mtime_nsec} {ctime} {ctime_nsec} {inode} {name}");
        }
        let Some(folder) = self.path.parent() else { return };
        if let Ok(mut temporary) = temporary_in(folder)
            && temporary.write_all(sealed(&lines).as_bytes()).is_ok()
        {
            let _ = temporary.persist(&self.path);
        }
    }
}

/// What is `known` of a file if that still holds, else what reading it tells; and whether to remember it.
fn look_up(path: &Path, known: Option<Entry>, settle: Duration) -> std::io::Result<(Entry, bool)> {
    let before = std::fs::metadata(path)?;
    if let Some(known) = known.filter(|known| known.stamp == stamp(&before)) {
        return Ok((known, true));
    }
    let started = SystemTime::now();
    let (digest, size) = Digest::of_file(path)?;
    let changed = SystemTime::UNIX_EPOCH
        + Duration::new(before.ctime().max(0).unsigned_abs(), before.ctime_nsec().clamp(0, 999_999_999) as u32);
    let old = |at: SystemTime| started.duration_since(at).is_ok_and(|age| age >= settle);
    let settled = size == before.size() && before.modified().is_ok_and(old) && old(changed);
    Ok((Entry { digest, stamp: stamp(&before) }, settled))
}

pub(super) fn stamp(file: &Metadata) -> Stamp {
    let (size, inode) = (file.size() as i64, file.ino() as i64);
    [size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec(), inode]
}

/// A flipped bit in a hash would make a stage seem to have read another file.
fn sealed(lines: &str) -> String {
    format!("{HEADER} {}\n{lines}", Digest::of(lines.as_bytes()))
}

/// The entries of the index at `path`; one that is torn or damaged has none.
fn read(path: &Path) -> HashMap<String, Entry> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.split_once('\n').map(|(_, lines)| lines).filter(|lines| sealed(lines) == text);
    lines.unwrap_or_default().lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<(String, Entry)> {
    let mut parts = line.splitn(8, ' ');
    let digest = parts.next()?.parse().ok()?;
    let mut stamp: Stamp = [0; 6];
    for part in &mut stamp {
        *part = parts.next()?.parse().ok()?;
    }
    Some((parts.next()?.to_owned(), Entry { digest, stamp }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// A folder, one for indexes, and a time long ago.
    fn folder() -> (tempfile::TempDir, PathBuf, SystemTime) {
        let dir = tempfile::tempdir().unwrap();
        let indexes = dir.path().join("stat");
        fs::create_dir(&indexes).unwrap();
        (dir, indexes, SystemTime::now() - Duration::from_secs(100))
    }

    fn write(path: &Path, text: &str, mtime: SystemTime) {
        fs::write(path, text).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(mtime).unwrap();
    }

    /// By a process of its own.
    fn digest(indexes: &Path, path: &Path, settle: Duration) -> Digest {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut indexes = StatIndexes::new(indexes.to_owned());
        indexes.settle = settle;
        indexes.digests(path.parent().unwrap(), &[(name.clone(), path.to_owned())]).unwrap()[&name]
    }

    fn index_file(indexes: &Path) -> Option<PathBuf> {
        fs::read_dir(indexes).unwrap().next().map(|entry| entry.unwrap().path())
    }

    #[test]
    fn unchanged_files_are_not_read_and_changed_ones_are() {
        let (dir, indexes, long_ago) = folder();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        write(&a, "one", long_ago);
        write(&b, "other", long_ago);
        assert_eq!(digest(&indexes, &a, Duration::ZERO), Digest::of(b"one"));
        assert_eq!(digest(&indexes, &b, Duration::ZERO), Digest::of(b"other"));
        // A hash that no file has, put into the index, shows that the index answers: for `a` too, after `b` was asked.
        let index = index_file(&indexes).unwrap();
        let text = fs::read_to_string(&index).unwrap();
        let lines = text.split_once('\n').unwrap().1;
        let marked = lines.replace(&Digest::of(b"one").to_string(), &Digest::of(b"mark").to_string());
        fs::write(&index, sealed(&marked)).unwrap();
        assert_eq!(digest(&indexes, &a, Duration::ZERO), Digest::of(b"mark"));
        // Same size, same mtime, same inode: the ctime tells. The clock of the file system is coarse, so wait a tick.
        std::thread::sleep(Duration::from_millis(30));
        write(&a, "two", long_ago);
        assert_eq!(digest(&indexes, &a, Duration::ZERO), Digest::of(b"two"));
    }

    #[test]
    fn files_written_just_now_are_hashed_at_every_look() {
        let (dir, indexes, long_ago) = folder();
        let a = dir.path().join("a");
        for mtime in [long_ago, SystemTime::now()] {
            write(&a, "new", mtime);
            assert_eq!(digest(&indexes, &a, SETTLE), Digest::of(b"new"));
            assert!(index_file(&indexes).is_none_or(|index| read(&index).is_empty()));
        }
    }

    #[test]
    fn a_torn_or_damaged_index_is_an_empty_one() {
        let (dir, indexes, long_ago) = folder();
        for name in ["a", "b with blanks"] {
            write(&dir.path().join(name), name, long_ago);
            digest(&indexes, &dir.path().join(name), Duration::ZERO);
        }
        let index = index_file(&indexes).unwrap();
        let text = fs::read_to_string(&index).unwrap();
        assert_eq!(read(&index)["b with blanks"].digest, Digest::of(b"b with blanks"));
        for damaged in [&text[..text.len() - 1], &text.replace("blanks", "blinks"), &format!("another\n{text}"), ""] {
            fs::write(&index, damaged).unwrap();
            assert!(read(&index).is_empty());
        }
    }
}
