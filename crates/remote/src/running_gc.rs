//! A `gc` that runs: others see that it lives by a file that it writes again and again.

use crate::error::RemoteError;
use crate::gc_watch::RUNNING;
use crate::shared_cache::SharedCache;
use crate::store_time::StoreTime;
use matssl_pipeline::cache::Digest;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// How often it writes its file.
const BEAT: Duration = Duration::from_secs(30);
/// If it could not write its file for so long, in seconds, it stops. Others hold it for dead later than that.
const MOST_SILENCE: u64 = 120;

/// A `gc` that runs. Its file is written until this is dropped.
pub(crate) struct RunningGc {
    path: Path,
    id: String,
    /// When it began.
    pub(crate) began: StoreTime,
    /// When its file was written last, in seconds since 1970 by this machine's clock: that goes on while the machine sleeps.
    written: Arc<AtomicU64>,
    beat: JoinHandle<()>,
}

impl RunningGc {
    /// Whether it may delete: others know that it lives.
    ///
    /// # Errors
    /// If it could not tell them for too long.
    pub(crate) fn check(&self) -> Result<(), RemoteError> {
        let silent = now().abs_diff(self.written.load(Ordering::Relaxed));
        if silent < MOST_SILENCE {
            return Ok(());
        }
        Err(RemoteError::NotThere(format!(
            "this `gc` could not say for {silent} s that it still runs (did the machine sleep?), and a push may hold it for dead; \
             nothing more is deleted; run it again"
        )))
    }

    #[cfg(test)]
    pub(crate) fn pretend_silence(&self, seconds: u64) {
        self.written.store(now() - seconds, Ordering::Relaxed);
    }
}

impl Drop for RunningGc {
    fn drop(&mut self) {
        self.beat.abort();
    }
}

impl SharedCache {
    /// Leaves the file of a `gc` that begins.
    pub(crate) fn begin_gc(&self) -> Result<RunningGc, RemoteError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| RemoteError::Wrong(format!("the system gives no random numbers: {error}")))?;
        let id = Digest::of(&random).short();
        let path = self.layout.gc().join(format!("{RUNNING}{id}.json"));
        self.write_gc_file(&path, &id)?;
        let written = Arc::new(AtomicU64::new(now()));
        let began = self.store_time(&path)?;
        let beat = self.runtime.spawn(beat(Arc::clone(&self.store), path.clone(), id.clone(), Arc::clone(&written)));
        Ok(RunningGc { path, id, began, written, beat })
    }

    /// Says that a `gc` has ended.
    pub(crate) fn end_gc(&self, running: RunningGc) -> Result<(), RemoteError> {
        running.beat.abort();
        self.write_gc_file(&self.layout.gc().join("last.json"), &running.id)?;
        self.runtime.block_on(self.remove(&running.path))
    }

    /// Removes a file that may be gone already.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), RemoteError> {
        match self.patiently(async || self.store.delete(path).await).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    fn write_gc_file(&self, path: &Path, id: &str) -> Result<(), RemoteError> {
        let text = text(id);
        let write = self.write_small(path, text.as_bytes(), PutMode::Overwrite);
        self.runtime.block_on(write).map_err(|error| self.unreachable(&error))
    }
}

async fn beat(store: Arc<dyn ObjectStore>, path: Path, id: String, written: Arc<AtomicU64>) {
    loop {
        tokio::time::sleep(BEAT).await;
        let began = now();
        let put = store.put_opts(&path, text(&id).into_bytes().into(), PutMode::Overwrite.into());
        if put.await.is_ok() {
            written.store(began, Ordering::Relaxed);
        }
    }
}

fn text(id: &str) -> String {
    format!("{{\"gc\":\"{id}\",\"at\":{}}}\n", now())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
