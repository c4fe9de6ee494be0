//! Hashes of files outside the cache, remembered by (path, size, mtime, ctime, inode).

use super::Digest;
use super::store::{Store, write_atomically};
use anyhow::{Context as _, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    size: u64,
    mtime: i64,
    mtime_nsec: i64,
    /// Of the last change of any kind: it shows a change that gave the file its old mtime back.
    ctime: i64,
    ctime_nsec: i64,
    inode: u64,
    digest: Digest,
}

/// The remembered hashes of one data set's files.
pub struct StatIndex {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
    settle: Duration,
}

/// A file written this shortly before it was hashed may change again without its times showing it (the clock of the
/// file system is coarse): its hash is used but not remembered.
const SETTLE: Duration = Duration::from_secs(2);

impl StatIndex {
    /// The index for the data set that lies at `root`. A torn index is an empty one.
    pub fn open(store: &Store, root: &Path) -> Self {
        let name = Digest::of(root.as_os_str().as_encoded_bytes()).short();
        let path = store.folder("stat").join(format!("{name}.json"));
        let entries = read(&path);
        StatIndex { path, entries, settle: SETTLE }
    }

    /// The hash of each file: from the index where size, times and inode are unchanged, else by reading (in
    /// parallel), and then remembered.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn digests(&mut self, files: &[(String, PathBuf)]) -> Result<BTreeMap<String, Digest>> {
        let entries = files
            .par_iter()
            .map(|(name, path)| self.look_up(name, path).with_context(|| format!("cannot read {}", path.display())))
            .collect::<Result<Vec<_>>>()?;
        let digests = files.iter().zip(&entries).map(|((name, _), (entry, _))| (name.clone(), entry.digest)).collect();
        let known = |name: &String, entry: &Entry, settled: bool| self.entries.get(name) == settled.then_some(entry);
        if !files.iter().zip(&entries).all(|((name, _), (entry, settled))| known(name, entry, *settled)) {
            // Another data set may lie in the same folder: what is remembered of its files stays, also what another
            // process has learnt since.
            self.entries = read(&self.path);
            for ((name, _), (entry, settled)) in files.iter().zip(entries) {
                if settled {
                    self.entries.insert(name.clone(), entry);
                } else {
                    self.entries.remove(name);
                }
            }
            // Forgetting costs a read, never a wrong hash: a read-only cache is no reason to stop.
            if let Ok(bytes) = serde_json::to_vec(&self.entries) {
                let _ = write_atomically(&self.path, &bytes);
            }
        }
        Ok(digests)
    }

    fn look_up(&self, name: &str, path: &Path) -> std::io::Result<(Entry, bool)> {
        let before = std::fs::metadata(path)?;
        if let Some(known) = self.entries.get(name).filter(|known| **known == Entry::new(&before, known.digest)) {
            return Ok((known.clone(), true));
        }
        let started = SystemTime::now();
        let (digest, size) = Digest::of_file(path)?;
        let changed = SystemTime::UNIX_EPOCH
            + Duration::new(before.ctime().max(0).unsigned_abs(), before.ctime_nsec().clamp(0, 999_999_999) as u32);
        let old = |at: SystemTime| started.duration_since(at).is_ok_and(|age| age >= self.settle);
        let settled = size == before.size() && before.modified().is_ok_and(old) && old(changed);
        Ok((Entry::new(&before, digest), settled))
    }
}

impl Entry {
    fn new(file: &Metadata, digest: Digest) -> Self {
        Entry {
            size: file.size(),
            mtime: file.mtime(),
            mtime_nsec: file.mtime_nsec(),
            ctime: file.ctime(),
            ctime_nsec: file.ctime_nsec(),
            inode: file.ino(),
            digest,
        }
    }
}

fn read(path: &Path) -> BTreeMap<String, Entry> {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// A folder with a file `a`, old as far as its mtime goes.
    fn folder() -> (tempfile::TempDir, Store, SystemTime) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        (dir, store, SystemTime::now() - Duration::from_secs(100))
    }

    fn write(path: &Path, text: &str, mtime: SystemTime) {
        fs::write(path, text).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(mtime).unwrap();
    }

    fn digest(store: &Store, path: &Path, settle: Duration) -> Digest {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut index = StatIndex::open(store, path.parent().unwrap());
        index.settle = settle;
        index.digests(&[(name.clone(), path.to_owned())]).unwrap()[&name]
    }

    #[test]
    fn unchanged_files_are_not_read_and_changed_ones_are() {
        let (dir, store, long_ago) = folder();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        write(&a, "one", long_ago);
        write(&b, "other", long_ago);
        assert_eq!(digest(&store, &a, Duration::ZERO), Digest::of(b"one"));
        assert_eq!(digest(&store, &b, Duration::ZERO), Digest::of(b"other"));
        // A hash that no file has, put into the index, shows that the index answers: for `a` too, after `b` was asked.
        let index = StatIndex::open(&store, dir.path()).path;
        let text = fs::read_to_string(&index).unwrap();
        fs::write(&index, text.replace(&Digest::of(b"one").to_string(), &Digest::of(b"mark").to_string())).unwrap();
        assert_eq!(digest(&store, &a, Duration::ZERO), Digest::of(b"mark"));
        // Same size, same mtime, same inode: the ctime tells. The clock of the file system is coarse, so wait a tick.
        std::thread::sleep(Duration::from_millis(30));
        write(&a, "two", long_ago);
        assert_eq!(digest(&store, &a, Duration::ZERO), Digest::of(b"two"));
    }

    #[test]
    fn files_written_just_now_are_hashed_at_every_look() {
        let (dir, store, long_ago) = folder();
        let a = dir.path().join("a");
        for mtime in [long_ago, SystemTime::now()] {
            write(&a, "new", mtime);
            assert_eq!(digest(&store, &a, SETTLE), Digest::of(b"new"));
            assert!(StatIndex::open(&store, dir.path()).entries.is_empty());
        }
    }
}
