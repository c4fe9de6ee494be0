//! When something is tried again, and when the remote counts as lost.

use crate::error::{is_denied, is_silence, words};
use crate::shared_cache::{SharedCache, State};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::debug;

/// So many failures without a success between them, and the remote counts as lost.
const MOST_FAILURES: usize = 3;
/// How often something is tried, beside what the store's library tries.
const TRIES: usize = 3;
/// Time before the second try.
const PAUSE: Duration = Duration::from_millis(100);

impl SharedCache {
    /// Counts a transfer that went well.
    pub(crate) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Counts a failed transfer. After several in a row, or when the server is silent, the remote is lost.
    pub(crate) fn failed(&self, error: &object_store::Error) {
        debug!(remote = self.shown(), why = words(error), "a transfer failed");
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= MOST_FAILURES || is_denied(error) || is_silence(error) {
            self.lose(&self.unreachable(error).to_string());
        }
    }

    /// Does something that may be done again until it goes well, a few times: connections break.
    pub(crate) async fn patiently<T>(
        &self,
        operation: impl AsyncFn() -> object_store::Result<T>,
    ) -> object_store::Result<T> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match operation().await {
                Err(error @ object_store::Error::Generic { .. }) if !self.is_lost() && !is_silence(&error) => {
                    debug!(remote = self.shown(), why = words(&error), "trying again");
                }
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause *= 3;
        }
        operation().await
    }

    /// Nothing more is asked of the remote.
    pub(crate) fn lose(&self, why: &str) {
        if !self.is_lost.swap(true, Ordering::Relaxed) {
            self.say_once(format!("{why}; going on with the cache on this machine only"));
        }
    }

    /// Whether the remote can be asked, also because one that was lost answers again: in the hours of a run a network comes
    /// and goes. One that never answered is not asked again.
    pub(crate) fn is_back(&self) -> bool {
        if !self.is_lost() {
            return true;
        }
        let was_there = *self.state.lock().unwrap_or_else(PoisonError::into_inner) == State::Ready;
        let is_back = was_there && self.runtime.block_on(self.look()).is_ok_and(|state| state == State::Ready);
        if is_back {
            self.succeeded();
            self.is_lost.store(false, Ordering::Relaxed);
        }
        is_back
    }
}
