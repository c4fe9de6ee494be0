//! The time by the store's clock.

use crate::error::RemoteError;
use crate::shared_cache::SharedCache;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A time by the store's clock that goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreTime {
    /// In seconds since 1970.
    at: i64,
    since: Instant,
}

impl StoreTime {
    /// Seconds since 1970, now.
    pub(crate) fn seconds(&self) -> i64 {
        self.at + self.since.elapsed().as_secs() as i64
    }

    /// By this machine's clock, where nothing hangs on it.
    pub(crate) fn of_this_machine() -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        StoreTime { at, since: Instant::now() }
    }
}

impl SharedCache {
    /// The store's time, by a file that was written just now.
    pub(crate) async fn time_by(&self, written: &Path) -> object_store::Result<StoreTime> {
        let since = Instant::now();
        let meta = self.patiently(async || self.store.head(written).await).await?;
        Ok(StoreTime { at: meta.last_modified.timestamp(), since })
    }

    /// As [`SharedCache::time_by`], from outside of the runtime.
    pub(crate) fn store_time(&self, written: &Path) -> Result<StoreTime, RemoteError> {
        self.runtime.block_on(self.time_by(written)).map_err(|error| self.unreachable(&error))
    }
}
