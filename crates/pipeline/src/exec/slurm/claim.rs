//! Claims: which batch and task run the stage of a key. Two runs on any hosts agree by them.

use super::batch::{Batch, FOLDER};
use crate::cache::{Key, Store};
use anyhow::{Context as _, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

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
        let path = self.file(key);
        let text = format!("{task} {}", batch.name());
        let draft = tempfile::Builder::new().prefix(".tmp-").tempfile_in(&self.folder)?;
        fs::write(draft.path(), &text)?;
        draft.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        loop {
            match fs::hard_link(draft.path(), &path) {
                Ok(()) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
            }
            match self.owner(key) {
                Some(owner) if owner.batch == batch.name() && owner.task == task => return Ok(None),
                Some(owner) if is_live(&owner) => return Ok(Some(owner)),
                Some(dead) => self.release(key, Some(&dead)),
                None => self.release(key, None),
            }
        }
    }

    /// The owner of `key`.
    pub(super) fn owner(&self, key: Key) -> Option<Owner> {
        read(&self.file(key))
    }

    /// Ends the claim on `key`, if it is still that of `owner`.
    pub(super) fn end(&self, key: Key, owner: &Owner) {
        if self.owner(key).as_ref() == Some(owner) {
            self.release(key, Some(owner));
        }
    }

    /// Removes the claim on `key`, which `owner` had (`None`: the file is damaged).
    fn release(&self, key: Key, owner: Option<&Owner>) {
        let aside = self.folder.join(format!(".gone-{key}-{}-{:?}", std::process::id(), std::thread::current().id()));
        if fs::rename(self.file(key), &aside).is_ok() {
            // Another run may have released it and claimed it anew between our look and the rename: that claim goes back.
            if read(&aside).as_ref() != owner {
                let _ = fs::hard_link(&aside, self.file(key));
            }
            let _ = fs::remove_file(aside);
        }
    }

    fn file(&self, key: Key) -> PathBuf {
        self.folder.join(key.to_string())
    }
}

fn read(path: &Path) -> Option<Owner> {
    let text = fs::read_to_string(path).ok()?;
    let (task, batch) = text.split_once(' ')?;
    Some(Owner { batch: batch.to_owned(), task: task.parse().ok()? })
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
        assert_eq!(claims.owner(key), Some(Owner { batch: b.name(), task: 0 }), "only its owner ends a claim");
        claims.end(key, &Owner { batch: b.name(), task: 0 });
        assert_eq!(claims.owner(key), None);
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
            let last = claims.owner(key);
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
