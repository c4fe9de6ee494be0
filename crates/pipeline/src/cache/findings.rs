//! What was worked out and can be worked out again: facts by the hash of all that they follow from, one file each in
//! `findings/`. No record names them and no key holds them; without one, or with a damaged one, it is worked out anew.

use super::record::{seal, unsealed};
use super::store::temporary_in;
use super::{Digest, Store};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The folder.
pub(super) const FOLDER: &str = "findings";

/// `gc` drops what was not used for long; that it was used is noted once a day.
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    of: Digest,
    what: T,
}

impl Store {
    /// What was kept under `of`, if it is whole and reads as a `T`.
    pub fn kept<T: DeserializeOwned>(&self, of: Digest) -> Option<T> {
        let path = self.kept_path(of);
        let bytes = fs::read(&path).ok()?;
        unsealed(&bytes)?;
        let kept: Kept<T> = serde_json::from_slice(&bytes).ok()?;
        let used = || -> Option<()> {
            let file = File::options().append(true).open(&path).ok()?;
            let age = SystemTime::now().duration_since(file.metadata().ok()?.modified().ok()?).ok()?;
            if age > DAY { file.set_modified(SystemTime::now()).ok() } else { None }
        };
        used();
        (kept.of == of).then_some(kept.what)
    }

    /// Keeps `what` under `of`, unflushed. That it cannot is no reason to stop: it will be worked out again.
    pub fn keep<T: Serialize>(&self, of: Digest, what: &T) {
        let path = self.kept_path(of);
        let write = || -> anyhow::Result<()> {
            let bytes = seal(serde_json::to_vec(&Kept { of, what })?);
            fs::create_dir_all(self.folder(FOLDER))?;
            let mut temporary = temporary_in(&self.folder(FOLDER))?;
            temporary.write_all(&bytes)?;
            temporary.persist(&path)?;
            Ok(())
        };
        let _ = write();
    }

    fn kept_path(&self, of: Digest) -> PathBuf {
        self.folder(FOLDER).join(format!("{of}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Mode, Rules, gc, verify};

    #[test]
    fn what_is_kept_is_found_until_it_is_damaged_or_another() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (of, other) = (Digest::of(b"a"), Digest::of(b"b"));
        let what = vec![("x".to_owned(), 0.1 + 0.2)];
        let find = |of| store.kept::<Vec<(String, f64)>>(of);
        assert_eq!(find(of), None);
        store.keep(of, &what);
        assert_eq!((find(of), find(other)), (Some(what.clone()), None));
        assert_eq!(store.kept::<u8>(of), None, "another version's");
        let path = store.kept_path(of);
        let bytes = fs::read(&path).unwrap();
        fs::write(store.kept_path(other), &bytes).unwrap();
        assert_eq!(find(other), None, "named by another's hash");
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, flipped).unwrap();
            assert_eq!(find(of), None, "bit {bit}");
        }
        for end in 0..bytes.len() {
            fs::write(&path, &bytes[..end]).unwrap();
            assert_eq!(find(of), None);
        }
        store.keep(of, &what);
        assert_eq!(find(of), Some(what));
    }

    #[test]
    fn a_cache_that_cannot_be_written_keeps_nothing_and_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        // In place of the folder: no permission stops root, who runs the tests in a container.
        fs::write(store.folder(FOLDER), "").unwrap();
        store.keep(Digest::of(b"a"), &1);
        assert_eq!(store.kept::<i32>(Digest::of(b"a")), None);
    }

    #[test]
    fn gc_drops_what_was_not_used_for_long_and_verify_leaves_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (old, used) = (Digest::of(b"old"), Digest::of(b"used"));
        let now = SystemTime::now();
        for of in [old, used] {
            store.keep(of, &1);
            let file = File::options().append(true).open(store.kept_path(of)).unwrap();
            file.set_modified(now - 40 * DAY).unwrap();
        }
        assert_eq!(store.kept(used), Some(1));
        assert!(verify(&store, &|_, _| {}).unwrap().damaged.is_empty());
        let rules = Rules { older_than: None, keep: None, max_size: None, now };
        assert_eq!(gc(&store, &rules, Mode::Delete).unwrap().leftovers.count, 1);
        assert_eq!((store.kept::<i32>(old), store.kept(used)), (None, Some(1)));
    }
}
