//! How `gc` and `push` on two machines know of each other: `gc` leaves a file while it runs, which it writes again and again, and
//! another when it ends. A push that finds them changed does its work again, which costs little where nothing is missing.
//!
//! Times are those of the store: the clocks of two machines may differ by hours.

use crate::error::RemoteError;
use crate::shared_cache::SharedCache;
use crate::store_time::StoreTime;
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Names of the files of a `gc` that runs begin with this.
pub(crate) const RUNNING: &str = "running-";
/// A `gc` that has not written its file for so long, in seconds, is dead. It knows that itself: see `running_gc.rs`.
const DEAD_AFTER: i64 = 600;
/// How often a push looks whether a `gc` has ended.
const LOOK: Duration = Duration::from_millis(500);

/// The files of `gc`.
#[derive(Clone, Debug)]
pub(crate) struct GcFiles {
    /// When each `gc` that has not ended has written its file last.
    running: BTreeMap<Path, i64>,
    /// The files of those that have ended.
    ended: BTreeSet<(Path, Option<String>, i64)>,
}

impl GcFiles {
    /// Whether there is a `gc` that has not said that it ended, dead or alive.
    pub(crate) fn has_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The files of those that died.
    pub(crate) fn dead(&self, now: &StoreTime) -> impl Iterator<Item = Path> {
        let dead = self.running.iter().filter(move |(_, written)| now.seconds() - **written >= DEAD_AFTER);
        dead.map(|(path, _)| path.clone())
    }

    /// Whether a `gc` may be deleting.
    pub(crate) fn is_running(&self, now: &StoreTime) -> bool {
        self.running.values().any(|written| now.seconds() - written < DEAD_AFTER)
    }

    /// Whether no `gc` began or ended between these two looks. One may have been running at both.
    pub(crate) fn is_as(&self, other: &GcFiles) -> bool {
        self.running.keys().eq(other.running.keys()) && self.ended == other.ended
    }
}

impl SharedCache {
    /// Looks at the files of `gc`.
    pub(crate) fn gc_files(&self) -> Result<GcFiles, RemoteError> {
        let folder = self.layout.gc();
        let list = async || self.store.list(Some(&folder)).try_collect::<Vec<ObjectMeta>>().await;
        let files = self.runtime.block_on(self.patiently(list)).map_err(|error| self.unreachable(&error))?;
        let mut found = GcFiles { running: BTreeMap::new(), ended: BTreeSet::new() };
        for ObjectMeta { location, last_modified, e_tag, .. } in files {
            if is_of_running(&location) {
                found.running.insert(location, last_modified.timestamp());
            } else {
                found.ended.insert((location, e_tag, last_modified.timestamp_millis()));
            }
        }
        Ok(found)
    }

    /// Waits until no `gc` runs, or `is_stopped`. Returns what it has left then.
    pub(crate) fn wait_for_gc(&self, now: &StoreTime, is_stopped: &dyn Fn() -> bool) -> Result<GcFiles, RemoteError> {
        loop {
            let files = self.gc_files()?;
            if !files.is_running(now) || is_stopped() {
                return Ok(files);
            }
            self.say_once("waiting for a `cache gc --remote` of another machine".into());
            std::thread::sleep(LOOK);
        }
    }
}

fn is_of_running(path: &Path) -> bool {
    path.filename().is_some_and(|name| name.starts_with(RUNNING))
}
