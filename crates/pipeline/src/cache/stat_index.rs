//! Hashes of files outside the cache, remembered by (path, size, mtime, ctime, inode).

use super::Digest;
use super::durable::temporary_in;
use super::file_stamp::{FileStamp, changed_at};
use super::unreadable_file::UnreadableFile;
use anyhow::Result;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tracing::{debug, trace};

/// The first line of an index, before the hash of all other lines. An index that begins otherwise is damaged or of another
/// format, and counts as empty.
const HEADER: &str = "matssl-run stat index 3";

/// The hash of a file that was written more recently than this is used but not remembered: such a file could change again
/// without a change of its times, because the clock of a file system is coarse.
const SETTLE: Duration = Duration::from_secs(2);

/// The indexes that this process has read, one for each data set's folder. A lost index costs time but gives no wrong hash,
/// so indexes are written unflushed, and failing to write one is no error.
#[derive(Debug)]
pub(super) struct StatIndexes {
    folder: PathBuf,
    settle: Duration,
    open: Mutex<HashMap<PathBuf, Arc<Mutex<StatIndex>>>>,
}

/// The remembered hashes of the files below one folder. The index file has one line for each of them, with the name last.
#[derive(Debug)]
struct StatIndex {
    path: PathBuf,
    entries: HashMap<String, Entry>,
    /// What changed since the index was read; `None` for a file that must be forgotten.
    changes: BTreeMap<String, Option<Entry>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    digest: Digest,
    stamp: FileStamp,
}

impl StatIndexes {
    /// Of the index files in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        StatIndexes { folder, settle: SETTLE, open: Mutex::default() }
    }

    /// The hash of each of `files` (name, path) below `root`: from the index if size, times and inode are unchanged; else the
    /// file is read (many files in parallel), and its hash is remembered.
    ///
    /// # Errors
    /// [`UnreadableFile`] if a file cannot be read.
    pub(super) fn digests(&self, root: &Path, files: &[(String, PathBuf)]) -> Result<BTreeMap<String, Digest>> {
        let index = self.index(root);
        // Not locked while files are read: rayon may give a thread that waits for others work that needs this index, too.
        let known: Vec<Option<Entry>> = {
            let index = lock(&index);
            files.iter().map(|(name, _)| index.entries.get(name).cloned()).collect()
        };
        let look_up = |((_, path), known): (&(String, PathBuf), Option<Entry>)| {
            look_up(path, known, self.settle).map_err(|source| UnreadableFile { path: path.clone(), source })
        };
        let found = match files.len() {
            0..16 => files.iter().zip(known).map(look_up).collect::<Result<Vec<_>, UnreadableFile>>()?,
            _ => files.par_iter().zip(known).map(look_up).collect::<Result<Vec<_>, UnreadableFile>>()?,
        };
        let mut index = lock(&index);
        let mut digests = BTreeMap::new();
        for ((name, _), (entry, is_settled)) in files.iter().zip(found) {
            digests.insert(name.clone(), entry.digest);
            let remembered = is_settled.then_some(entry);
            if index.entries.get(name) != remembered.as_ref() {
                match &remembered {
                    Some(entry) => drop(index.entries.insert(name.clone(), entry.clone())),
                    None => drop(index.entries.remove(name)),
                }
                index.changes.insert(name.clone(), remembered);
            }
        }
        Ok(digests)
    }

    /// The index of the files below `root`.
    fn index(&self, root: &Path) -> Arc<Mutex<StatIndex>> {
        let mut open = lock(&self.open);
        if let Some(index) = open.get(root) {
            return Arc::clone(index);
        }
        let name = Digest::of(root.as_os_str().as_encoded_bytes()).short();
        let path = self.folder.join(format!("{name}.txt"));
        let index = StatIndex { entries: read(&path), path, changes: BTreeMap::new() };
        let index = Arc::new(Mutex::new(index));
        open.insert(root.to_owned(), Arc::clone(&index));
        index
    }

    /// Writes all indexes that have changed.
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
        if self.changes.is_empty() {
            return;
        }
        // Read again, because another process may have written hashes of other files since.
        self.entries = read(&self.path);
        for (name, entry) in std::mem::take(&mut self.changes) {
            match entry {
                Some(entry) => drop(self.entries.insert(name, entry)),
                None => drop(self.entries.remove(&name)),
            }
        }
        let mut lines = String::new();
        for (name, Entry { digest, stamp }) in self.entries.iter().filter(|(name, _)| !name.contains('\n')) {
            let FileStamp([size, mtime, mtime_nsec, ctime, ctime_nsec, inode]) = stamp;
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

/// The entry of the file at `path`: the `known` one if the file is unchanged, else from reading it. Also says whether to
/// remember it.
fn look_up(path: &Path, known: Option<Entry>, settle: Duration) -> std::io::Result<(Entry, bool)> {
    let before = std::fs::metadata(path)?;
    let stamp = FileStamp::of(&before);
    let was_known = known.is_some();
    if let Some(known) = known.filter(|known| known.stamp == stamp) {
        trace!(path = %path.display(), digest = %known.digest, "unchanged since it was hashed");
        return Ok((known, true));
    }
    let started = SystemTime::now();
    let (digest, size) = Digest::of_file(path)?;
    let is_old = |at: SystemTime| started.duration_since(at).is_ok_and(|age| age >= settle);
    let remembered = size == before.len() && before.modified().is_ok_and(is_old) && is_old(changed_at(&before));
    let reason = if was_known { "its size, times or inode changed" } else { "not in the index" };
    debug!(path = %path.display(), bytes = size, %digest, reason, remembered, "hashed a file");
    Ok((Entry { digest, stamp }, remembered))
}

/// The text of an index with these lines. It is sealed, because a flipped bit in a hash would look like a changed file.
fn sealed(lines: &str) -> String {
    format!("{HEADER} {}\n{lines}", Digest::of(lines.as_bytes()))
}

/// The entries of the index at `path`; none if it is incomplete or damaged.
fn read(path: &Path) -> HashMap<String, Entry> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.split_once('\n').map(|(_, lines)| lines).filter(|lines| sealed(lines) == text);
    lines.unwrap_or_default().lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<(String, Entry)> {
    let mut parts = line.splitn(8, ' ');
    let digest = parts.next()?.parse().ok()?;
    let mut stamp = [0; 6];
    for part in &mut stamp {
        *part = parts.next()?.parse().ok()?;
    }
    Some((parts.next()?.to_owned(), Entry { digest, stamp: FileStamp(stamp) }))
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

    /// The hash as a new process finds it.
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
        // A false hash in the index shows that the answer comes from there; for `a` too, although `b` was asked for last.
        let index = index_file(&indexes).unwrap();
        let text = fs::read_to_string(&index).unwrap();
        let lines = text.split_once('\n').unwrap().1;
        let marked = lines.replace(&Digest::of(b"one").to_string(), &Digest::of(b"mark").to_string());
        fs::write(&index, sealed(&marked)).unwrap();
        assert_eq!(digest(&indexes, &a, Duration::ZERO), Digest::of(b"mark"));
        // Same size, mtime and inode, so only the ctime differs. The clock of the file system is coarse, so wait for it.
        std::thread::sleep(Duration::from_millis(30));
        write(&a, "two", long_ago);
        assert_eq!(digest(&indexes, &a, Duration::ZERO), Digest::of(b"two"));
    }

    #[test]
    fn files_written_just_now_are_hashed_every_time() {
        let (dir, indexes, long_ago) = folder();
        let a = dir.path().join("a");
        for mtime in [long_ago, SystemTime::now()] {
            write(&a, "new", mtime);
            assert_eq!(digest(&indexes, &a, SETTLE), Digest::of(b"new"));
            assert!(index_file(&indexes).is_none_or(|index| read(&index).is_empty()));
        }
    }

    #[test]
    fn an_incomplete_or_damaged_index_counts_as_empty() {
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
