//! Hashes of files outside the cache, remembered by (path, size, mtime, inode).

use super::Digest;
use super::store::{Store, write_atomically};
use anyhow::{Context as _, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    size: u64,
    mtime: i64,
    mtime_nsec: i64,
    inode: u64,
    digest: Digest,
}

/// The remembered hashes of one data set's files.
pub struct StatIndex {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

/// A file written this shortly before it was hashed may change again without its mtime showing it (the clock of the
/// file system is coarse): its hash is used but not remembered.
const SETTLE: Duration = Duration::from_secs(2);

impl StatIndex {
    /// The index for the data set that lies at `root`. A torn index is an empty one.
    pub fn open(store: &Store, root: &Path) -> Self {
        let name = Digest::of(root.as_os_str().as_encoded_bytes()).short();
        let path = store.folder("stat").join(format!("{name}.json"));
        let entries =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        StatIndex { path, entries }
    }

    /// The hash of each file: from the index where size, mtime and inode are unchanged, else by reading (in
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
        let settled: BTreeMap<String, Entry> = files
            .iter()
            .zip(entries)
            .filter(|(_, (_, settled))| *settled)
            .map(|((name, _), (entry, _))| (name.clone(), entry))
            .collect();
        if settled != self.entries {
            // Forgetting costs a read, never a wrong hash: a read-only cache is no reason to stop.
            if let Ok(bytes) = serde_json::to_vec(&settled) {
                let _ = write_atomically(&self.path, &bytes);
            }
            self.entries = settled;
        }
        Ok(digests)
    }

    fn look_up(&self, name: &str, path: &Path) -> std::io::Result<(Entry, bool)> {
        let before = std::fs::metadata(path)?;
        if let Some(known) = self.entries.get(name) {
            let same = known.size == before.size()
                && known.mtime == before.mtime()
                && known.mtime_nsec == before.mtime_nsec()
                && known.inode == before.ino();
            if same {
                return Ok((known.clone(), true));
            }
        }
        let started = SystemTime::now();
        let (digest, size) = Digest::of_file(path)?;
        let settled = before.modified().is_ok_and(|at| started.duration_since(at).is_ok_and(|age| age > SETTLE));
        let entry = Entry { size, mtime: before.mtime(), mtime_nsec: before.mtime_nsec(), inode: before.ino(), digest };
        Ok((entry, settled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn unchanged_files_are_not_read_and_changed_ones_are() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        let path = dir.path().join("a");
        let long_ago = SystemTime::now() - Duration::from_secs(100);
        let write = |text: &str, age: SystemTime| {
            fs::write(&path, text).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(age).unwrap();
        };
        let files = [("a".to_owned(), path.clone())];
        let digest = || StatIndex::open(&store, dir.path()).digests(&files).unwrap()["a"];
        write("one", long_ago);
        assert_eq!(digest(), Digest::of(b"one"));
        // Same size, same time, same inode: the index answers without a read, so the old hash shows that it did.
        write("two", long_ago);
        assert_eq!(digest(), Digest::of(b"one"));
        write("two", long_ago + Duration::from_secs(1));
        assert_eq!(digest(), Digest::of(b"two"));
        // Written just now: hashed at every look, for the clock could not tell two writes apart.
        write("new", SystemTime::now());
        assert_eq!(digest(), Digest::of(b"new"));
        let now = fs::metadata(&path).unwrap().modified().unwrap();
        write("old", now);
        assert_eq!(digest(), Digest::of(b"old"));
    }
}
