//! Claims: which batch and task run the stage of a key. Two runs on any hosts agree by them.
//!
//! The claims on a key are numbered files. The last one counts, and a new one is linked behind it, which only one can do. None is
//! removed before the key has a record.

use super::batch::{Batch, FOLDER};
use crate::cache::{Key, Store};
use anyhow::{Context as _, Result};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::NamedTempFile;

/// The owner of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Name of its batch.
    pub(super) batch: String,
    pub(super) task: usize,
}

/// The claims of a cache.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    folder: PathBuf,
}

impl Claims {
    /// # Errors
    /// A full or read-only disk.
    pub(super) fn open(store: &Store) -> Result<Self> {
        let folder = store.root().join(FOLDER).join("claims");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Claims { folder })
    }

    /// Claims `key` for `batch`, unless another owner `is_live`. Returns that owner.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub(super) fn take(
        &self,
        key: Key,
        batch: &Batch,
        task: usize,
        mut is_live: impl FnMut(&Owner) -> bool,
    ) -> Result<Option<Owner>> {
        let owner = Owner { batch: batch.name(), task };
        let draft = self.draft(&owner.text())?;
        loop {
            let (number, last) = self.last(key).with_context(|| format!("cannot read {}", self.folder.display()))?;
            match last {
                Some(last) if last == owner => return Ok(None),
                Some(last) if is_live(&last) => return Ok(Some(last)),
                _ => {}
            }
            let path = self.file(key, number);
            match fs::hard_link(draft.path(), &path) {
                Ok(()) => return Ok(None),
                // Another was first: it is the last one now, as soon as that can be seen here.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
            }
        }
    }

    /// Ends the claim on `key`, if it is still that of `owner`.
    pub(super) fn end(&self, key: Key, owner: &Owner) {
        if let Ok((next, Some(last))) = self.last(key)
            && last == *owner
            && let Ok(draft) = self.draft("")
        {
            // Nobody else writes to this number. Where that fails, the owner is judged by its batch.
            let _ = draft.persist(self.file(key, next - 1));
        }
    }

    /// Removes all claims on a key that has a record: whoever claims it from now on finds that.
    pub(super) fn forget(&self, key: Key) {
        (0..).take_while(|&number| fs::remove_file(self.file(key, number)).is_ok()).for_each(drop);
    }

    /// The number of the next claim on `key`, and the owner by the last one, unless that has ended or is damaged.
    fn last(&self, key: Key) -> io::Result<(usize, Option<Owner>)> {
        let mut last = None;
        let mut number = 0;
        loop {
            last = match fs::read(self.file(key, number)) {
                Ok(bytes) => Owner::read(&String::from_utf8_lossy(&bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok((number, last)),
                Err(error) => return Err(error),
            };
            number += 1;
        }
    }

    fn draft(&self, text: &str) -> Result<NamedTempFile> {
        let draft = tempfile::Builder::new().prefix(".tmp-").tempfile_in(&self.folder)?;
        fs::write(draft.path(), text)?;
        draft.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        Ok(draft)
    }

    fn file(&self, key: Key, number: usize) -> PathBuf {
        self.folder.join(format!("{key}.{number}"))
    }
}

impl Owner {
    fn text(&self) -> String {
        format!("{} {}", self.task, self.batch)
    }

    fn read(text: &str) -> Option<Self> {
        let (task, batch) = text.split_once(' ')?;
        Some(Owner { batch: batch.to_owned(), task: task.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Digest;

    #[test]
    fn a_key_has_one_owner_until_that_one_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let claims = Claims::open(&store).unwrap();
        let (a, b) = (Batch::create(&store, "a").unwrap(), Batch::create(&store, "b").unwrap());
        let key = Key(Digest::of(b"key"));
        assert_eq!(claims.take(key, &a, 3, |_| true).unwrap(), None);
        assert_eq!(claims.take(key, &a, 3, |_| false).unwrap(), None, "its own");
        let owner = Owner { batch: a.name(), task: 3 };
        assert_eq!(claims.take(key, &b, 0, |_| true).unwrap(), Some(owner.clone()));
        assert_eq!(claims.take(key, &b, 0, |_| false).unwrap(), None);
        claims.end(key, &owner);
        let new = Owner { batch: b.name(), task: 0 };
        assert_eq!(claims.last(key).unwrap(), (2, Some(new.clone())), "only its owner ends a claim");
        claims.end(key, &new);
        assert_eq!(claims.last(key).unwrap(), (2, None));
        assert_eq!(claims.take(key, &a, 3, |_| true).unwrap(), None, "what has ended is nobody's");
        claims.forget(key);
        assert_eq!(claims.last(key).unwrap(), (0, None));
        // Nothing can be read there: an error, and no search without end.
        let file = claims.folder.join("file");
        fs::write(&file, "").unwrap();
        assert!(Claims { folder: file }.last(key).is_err());
    }

    /// Eight threads find the same dead owner at once, again and again.
    #[test]
    fn of_many_threads_one_gets_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let claims = Claims::open(&store).unwrap();
        let batch = Batch::create(&store, "a").unwrap();
        let key = Key(Digest::of(b"key"));
        let dead = Batch::create(&store, "dead").unwrap();
        for round in 0..50 {
            let last = claims.last(key);
            assert!(claims.take(key, &dead, round, |_| false).unwrap().is_none(), "{last:?}");
            let won = std::thread::scope(|scope| {
                let take = |task| {
                    let (claims, batch, dead) = (&claims, &batch, dead.name());
                    scope.spawn(move || claims.take(key, batch, task, |owner| owner.batch != dead).unwrap().is_none())
                };
                let threads: Vec<_> = (0..8).map(take).collect();
                threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
            });
            assert_eq!(won, 1);
        }
    }
}
