//! Looks for records in the remote.

use crate::envelope::{self, Envelope, Unusable};
use crate::shared_cache::{AT_A_TIME, SharedCache};
use futures_util::{StreamExt as _, stream};
use matssl_pipeline::cache::Key;
use object_store::{Error, UpdateVersion};
use std::sync::PoisonError;

/// What is in the place of a record.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    Record(Box<Envelope>),
    /// Something that does not count, and its version in the store.
    Unusable(Unusable, UpdateVersion),
}

impl SharedCache {
    /// What is in the place of the record of `key`.
    pub(crate) async fn look_for(&self, key: Key) -> object_store::Result<Found> {
        let found = match self.read_small(&self.layout.record(key)).await {
            Err(Error::NotFound { .. }) => return Ok(Found::Nothing),
            found => found?,
        };
        let Some(bytes) = found.bytes else {
            return Ok(Found::Unusable(Unusable::Damaged("is too large"), found.version));
        };
        Ok(match envelope::open(&bytes, key, &self.trust) {
            Ok(envelope) => Found::Record(Box::new(envelope)),
            Err(unusable) => Found::Unusable(unusable, found.version),
        })
    }

    /// The records of `keys` that are there and may be trusted. What does not count is named, once.
    pub(crate) fn find_all(&self, keys: &[Key]) -> Vec<Option<Envelope>> {
        if !self.is_there() {
            return keys.iter().map(|_| None).collect();
        }
        let find = |key: Key| async move {
            // Many more keys may be in the queue when the remote is lost.
            if self.is_lost() {
                return None;
            }
            match self.patiently(async || self.look_for(key).await).await {
                Ok(found) => {
                    self.succeeded();
                    self.usable(key, found)
                }
                Err(error) => {
                    self.failed(&error);
                    None
                }
            }
        };
        let found = stream::iter(keys.iter().copied()).map(find).buffered(2 * AT_A_TIME);
        self.runtime.block_on(found.collect())
    }

    fn usable(&self, key: Key, found: Found) -> Option<Envelope> {
        let shown = self.shown();
        match found {
            Found::Nothing => None,
            Found::Record(envelope) => {
                let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
                origins.insert(key, envelope.origin.clone());
                Some(*envelope)
            }
            Found::Unusable(Unusable::Damaged(why), _) => {
                self.say_once(format!(
                    "the shared cache {shown} is damaged: the record {key} {why}; it is not used, and its stage is computed again"
                ));
                None
            }
            Found::Unusable(Unusable::Untrusted(origin), _) => {
                let by = format!("{}@{}", origin.user, origin.host);
                self.say_once(format!(
                    "the shared cache {shown} has records of {by} without a signature that is trusted here; they are not used"
                ));
                None
            }
        }
    }
}
