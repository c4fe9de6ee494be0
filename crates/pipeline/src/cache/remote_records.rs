//! The remote behind a cache. Its records are hits like any other, but they have no file in `records/`, because a record there
//! promises that its objects are on disk: [`Store::fetch`] brings the objects and then writes the record.

use super::adopted::Adopted;
use super::remote::Remote;
use super::{Digest, Key, Record, Store};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tracing::debug;

impl Store {
    /// The same cache, with a remote behind it: what is not found here is looked for there by [`Store::ask_remote`].
    #[must_use]
    pub fn with_remote(mut self, remote: Arc<dyn Remote>) -> Self {
        self.remote = Some(Arc::new(Adopted::new(remote)));
        self
    }

    /// Whether there is a remote behind this cache.
    pub fn has_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Asks the remote for those of `keys` that it was not asked for yet. Returns how many records it has; they are found from
    /// now on. What turned out to be damaged before is not asked for: the stage is computed again.
    pub fn ask_remote(&self, keys: &[Key]) -> usize {
        let Some(adopted) = &self.remote else { return 0 };
        let mut new = adopted.not_asked(keys);
        new.retain(|key| !self.is_refused(*key));
        if new.is_empty() {
            return 0;
        }
        let found = adopted.remote.find(&new);
        let mut count = 0;
        for (key, record) in new.iter().zip(found) {
            // Whatever the remote says, only a record of this key counts.
            let is_sound = |record: &Record| record.key == *key && record.is_consistent() && record.flaw().is_none();
            let Some(record) = record.filter(is_sound) else { continue };
            debug!(%key, stage = record.made.stage, host = record.made.host, "the remote has the record of this key");
            adopted.add(record);
            count += 1;
        }
        count
    }

    /// Whether the remote was asked for `key` already.
    pub fn was_remote_asked(&self, key: Key) -> bool {
        self.remote.as_ref().is_some_and(|adopted| adopted.was_asked(key))
    }

    /// The record of `key` if only the remote has its objects.
    pub fn only_remote(&self, key: Key) -> Option<Arc<Record>> {
        self.remote.as_ref()?.record(key)
    }

    /// Brings an object that something is about to read, if only the remote has it. If it cannot be had, the reader finds it
    /// missing.
    pub(super) fn bring(&self, digest: Digest) {
        let Some(record) = self.remote.as_ref().and_then(|adopted| adopted.record_with(digest)) else { return };
        let output = record.outputs.iter().find(|output| output.digest == digest);
        if output.is_some_and(|output| self.missing_object(std::slice::from_ref(output)).is_some()) {
            self.fetch_object(&record, digest);
        }
    }

    /// The note that the remote's record of `key` is damaged: in this cache it does not count until it is replaced.
    fn refusal(&self, key: Key) -> PathBuf {
        self.folder("damaged").join(format!("{key}.refused"))
    }

    fn is_refused(&self, key: Key) -> bool {
        self.refusal(key).exists()
    }

    /// Notes that `objects` of the remote's record of `key` are damaged or missing.
    pub(super) fn refuse(&self, key: Key, objects: &[Digest]) {
        let path = self.refusal(key);
        let mut all = self.refused_objects(key).unwrap_or_default();
        all.extend(objects);
        let text: String = all.iter().map(|digest| format!("{digest}\n")).collect();
        // Without the note the next run finds the same damage again.
        let _ = path.parent().map(fs::create_dir_all).and_then(|made| made.ok()).map(|()| fs::write(path, text));
    }

    /// The damaged objects of the remote's record of `key`; `None` if it was not refused. Whoever pushes the record replaces them.
    pub fn refused_objects(&self, key: Key) -> Option<BTreeSet<Digest>> {
        let text = fs::read_to_string(self.refusal(key)).ok()?;
        Some(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Drops the note, because the remote's record of `key` was replaced.
    pub fn accept_again(&self, key: Key) {
        let _ = fs::remove_file(self.refusal(key));
    }
}
