//! How `gc` and `push` on two machines know of each other: `gc` leaves a file when it begins and another when it ends. A push that
//! finds them changed does its work again, which costs little where nothing is missing.

use crate::error::RemoteError;
use crate::shared_cache::SharedCache;
use futures_util::TryStreamExt as _;
use matssl_pipeline::cache::Digest;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutMode};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Names of the files of a `gc` that runs begin with this.
const RUNNING: &str = "running-";
/// A `gc` that has not ended for so long was killed.
const STALE: u64 = 3600;
/// A push waits so long for a `gc`.
const PATIENCE: Duration = Duration::from_secs(300);

/// The files of `gc`, and whether one is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GcState {
    files: BTreeSet<(String, Option<String>, i64)>,
    pub(crate) is_running: bool,
}

impl SharedCache {
    pub(crate) fn gc_state(&self) -> Result<GcState, RemoteError> {
        let folder = self.layout.gc();
        let list = async || self.store.list(Some(&folder)).try_collect::<Vec<ObjectMeta>>().await;
        let files = self.runtime.block_on(self.patiently(list)).map_err(|error| self.unreachable(&error))?;
        let now = now();
        let is_running = |file: &ObjectMeta| {
            let age = now.saturating_sub(file.last_modified.timestamp().max(0) as u64);
            file.location.filename().is_some_and(|name| name.starts_with(RUNNING)) && age < STALE
        };
        let is_running = files.iter().any(is_running);
        let of = |file: ObjectMeta| (file.location.to_string(), file.e_tag, file.last_modified.timestamp_millis());
        Ok(GcState { files: files.into_iter().map(of).collect(), is_running })
    }

    /// Waits until no `gc` runs. Returns the state then, or after some minutes.
    pub(crate) fn wait_for_gc(&self, stop: &AtomicBool) -> Result<GcState, RemoteError> {
        let since = Instant::now();
        loop {
            let state = self.gc_state()?;
            if !state.is_running || since.elapsed() > PATIENCE || stop.load(Ordering::Relaxed) {
                return Ok(state);
            }
            self.say_once("waiting for a `cache gc --remote` of another machine".into());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Leaves the file of a `gc` that begins.
    pub(crate) fn begin_gc(&self) -> Result<Path, RemoteError> {
        let mut random = [0; 16];
        let _ = getrandom::fill(&mut random);
        let id = Digest::of(&[&random[..], &std::process::id().to_le_bytes(), &now().to_le_bytes()].concat()).short();
        let path = self.layout.gc().join(format!("{RUNNING}{id}.json"));
        self.write_gc_file(&path, &id)?;
        Ok(path)
    }

    /// Ends the `gc` that left the file `running`.
    pub(crate) fn end_gc(&self, running: &Path) -> Result<(), RemoteError> {
        let id = running.filename().unwrap_or_default().to_owned();
        self.write_gc_file(&self.layout.gc().join("last.json"), &id)?;
        let delete = self.runtime.block_on(self.store.delete(running));
        delete.map_err(|error| self.unreachable(&error))
    }

    fn write_gc_file(&self, path: &Path, id: &str) -> Result<(), RemoteError> {
        let text = format!("{{\"gc\":\"{id}\",\"at\":{}}}\n", now());
        let put = async || self.store.put_opts(path, text.clone().into_bytes().into(), PutMode::Overwrite.into()).await;
        self.runtime.block_on(self.patiently(put)).map(|_| ()).map_err(|error| self.unreachable(&error))
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
