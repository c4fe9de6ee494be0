//! What `gc` removes and what stays.

use super::super::amount::Amount;
use super::super::durable::sync_folder;
use super::super::work_folder::key_of;
use super::super::{Key, Store};
use super::removal::Removal;
use anyhow::Result;
use std::path::PathBuf;
use tracing::debug;

/// A record to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its key.
    pub key: Key,
    /// The stage that it was made for, as `experiment/stage`.
    pub stage: String,
    /// Kind of that stage.
    pub kind: String,
    /// When it was last made or used, in seconds since 1970.
    pub used_at: u64,
    /// Size in bytes of its objects that no remaining record names.
    pub bytes: u64,
}

/// What is removed and what stays.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Records to remove, least recently used first.
    pub records: Vec<Dropped>,
    /// Their objects.
    pub objects: Amount,
    /// Objects that no record names and that are older than an hour.
    pub unnamed: Amount,
    /// Folders in `work/` that no process uses: private folders of ended processes, old checkpoints.
    pub work: Amount,
    /// Logs of old runs.
    pub runs: Amount,
    /// Temporary files of ended processes, findings that were not used for long, and old damaged files.
    pub leftovers: Amount,
    /// Number of records that stay, and size of all objects that stay.
    pub stays: Amount,
    /// Number of records that stay only because a run holds them.
    pub held: usize,
    /// Number of runs that go on.
    pub live_runs: usize,
    pub(super) removals: Removals,
}

/// Everything to remove, in the order of removal.
#[derive(Debug, Default)]
pub(super) struct Removals {
    pub(super) records: Vec<Removal>,
    pub(super) objects: Vec<Removal>,
    /// Work folders of stages. They are removed under their lock.
    pub(super) work: Vec<PathBuf>,
    pub(super) others: Vec<Removal>,
}

impl Sweep {
    /// Whether nothing is removed.
    pub fn is_empty(&self) -> bool {
        let Removals { records, objects, work, others } = &self.removals;
        self.records.is_empty() && records.is_empty() && objects.is_empty() && work.is_empty() && others.is_empty()
    }

    /// Size in bytes of everything that is removed.
    pub fn freed(&self) -> u64 {
        let amounts = [self.objects, self.unnamed, self.work, self.runs, self.leftovers];
        amounts.iter().map(|amount| amount.bytes).sum()
    }

    /// Removes everything: records before objects, so that no record ever names a missing object.
    pub(super) fn delete(&self, store: &Store) -> Result<()> {
        let Removals { records, objects, work, others } = &self.removals;
        for Dropped { key, stage, used_at, bytes, .. } in &self.records {
            debug!(%key, stage, used_at, bytes, "gc removes a record");
        }
        records.iter().try_for_each(Removal::carry_out)?;
        if !records.is_empty() {
            // After a power cut a record must not come back without its objects.
            sync_folder(&store.folder("records"))?;
        }
        objects.iter().try_for_each(Removal::carry_out)?;
        for folder in work {
            let Some(key) = key_of(folder) else { continue };
            let work = store.work(key);
            // Under the lock, as a worker that has finished does it.
            let Some(attempt) = work.begin()? else { continue };
            work.remove(attempt);
            debug!(path = %folder.display(), "gc removed a work folder that no process uses");
        }
        others.iter().try_for_each(Removal::carry_out)
    }
}
