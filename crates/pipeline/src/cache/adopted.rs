//! Records of the remote whose objects are not on this disk, in memory.

use super::remote::Remote;
use super::{Digest, Key, Record};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A remote, and the records that were found there: one for all clones of a [`Store`](super::Store).
#[derive(Debug)]
pub(super) struct Adopted {
    pub(super) remote: Arc<dyn Remote>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Keys that the remote was asked for. It is asked once a process.
    asked: BTreeSet<Key>,
    records: HashMap<Key, Arc<Record>>,
    /// The records that name each object.
    objects: HashMap<Digest, Vec<Key>>,
}

impl Adopted {
    pub(super) fn new(remote: Arc<dyn Remote>) -> Self {
        Adopted { remote, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of `keys` that the remote was not asked for; from now on it was.
    pub(super) fn not_asked(&self, keys: &[Key]) -> Vec<Key> {
        let mut known = self.known();
        keys.iter().copied().filter(|key| known.asked.insert(*key)).collect()
    }

    pub(super) fn was_asked(&self, key: Key) -> bool {
        self.known().asked.contains(&key)
    }

    pub(super) fn add(&self, record: Record) {
        let mut known = self.known();
        for output in &record.outputs {
            known.objects.entry(output.digest).or_default().push(record.key);
        }
        known.records.insert(record.key, Arc::new(record));
    }

    pub(super) fn record(&self, key: Key) -> Option<Arc<Record>> {
        self.known().records.get(&key).cloned()
    }

    /// A record that names this object.
    pub(super) fn record_with(&self, digest: Digest) -> Option<Arc<Record>> {
        let known = self.known();
        known.records.get(known.objects.get(&digest)?.first()?).cloned()
    }

    /// Forgets a record: its objects are here now, or cannot be had.
    pub(super) fn forget(&self, key: Key) {
        let mut known = self.known();
        let Some(record) = known.records.remove(&key) else { return };
        for output in &record.outputs {
            if let Some(named_by) = known.objects.get_mut(&output.digest) {
                named_by.retain(|other| *other != key);
            }
        }
    }
}
