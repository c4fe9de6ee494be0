//! What each experiment needs: lists of keys, which `gc` keeps. Each cache that pushes an experiment has a list of its own, so
//! that two versions of an experiment do not take each other's records away.

use crate::error::{RemoteError, words};
use crate::shared_cache::SharedCache;
use crate::small_file::{SmallFile, over};
use crate::store_time::StoreTime;
use futures_util::TryStreamExt as _;
use matssl_pipeline::cache::{Digest, Key, Store, host_name};
use object_store::path::Path;
use object_store::{Error, ObjectStore as _, PutMode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// The keys that an experiment needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExperimentList {
    /// Name of the experiment.
    pub(crate) experiment: String,
    /// Who pushed it.
    pub(crate) user: String,
    /// From which machine.
    pub(crate) host: String,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
    /// The keys of all its stages that were known.
    pub(crate) keys: BTreeSet<Key>,
}

/// So many processes that list parts of one experiment at a time are waited for.
const MOST_TRIES: usize = 8;

impl SharedCache {
    /// Lists `keys` as needed by `experiment`. If these are not `all` of them, those of the last list stay on it. Returns the
    /// store's time.
    pub(crate) fn list(
        &self,
        store: &Store,
        experiment: &str,
        keys: &[Key],
        all: bool,
    ) -> Result<StoreTime, RemoteError> {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
        let host = host_name();
        let root = store.root().display();
        // In the name of a file that all can read: not the path of the cache itself.
        let who = Digest::of(format!("{user}\n{host}\n{root}").as_bytes()).short();
        let path = self.layout.experiment(experiment).join(format!("{who}.json"));
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let keys = keys.iter().copied().collect();
        let list = ExperimentList { experiment: experiment.to_owned(), user, host, at, keys };
        let time = self.runtime.block_on(async {
            match all {
                true => self.write_small(&path, &bytes_of(&list)?, PutMode::Overwrite).await?,
                false => self.add_to_list(&path, list).await?,
            }
            self.time_by(&path).await
        });
        time.map_err(|error| self.unreachable(&error))
    }

    /// Writes `list` with the keys of the one that is there. Another process of the same cache may do that at the same time:
    /// neither loses its keys.
    async fn add_to_list(&self, path: &Path, list: ExperimentList) -> object_store::Result<()> {
        let mut tries = 0;
        loop {
            let mut list = list.clone();
            let mode = match self.patiently(async || self.read_small(path).await).await {
                Err(Error::NotFound { .. }) => PutMode::Create,
                found => {
                    let SmallFile { bytes, version } = found?;
                    let last = bytes.and_then(|bytes| serde_json::from_slice::<ExperimentList>(&bytes).ok());
                    if last.is_none() {
                        self.say_once(format!(
                            "the list {path} in the shared cache {} is damaged and begins anew; push the whole experiment again, so \
                             that `cache gc --remote` keeps all of it",
                            self.shown()
                        ));
                    }
                    list.keys.extend(last.into_iter().flat_map(|last| last.keys));
                    over(version)
                }
            };
            match self.write_small(path, &bytes_of(&list)?, mode).await {
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) if tries < MOST_TRIES => tries += 1,
                written => return written,
            }
        }
    }

    /// All lists, with their paths.
    ///
    /// # Errors
    /// If one cannot be read: what it keeps would be lost.
    pub(crate) async fn lists(&self) -> Result<Vec<(Path, ExperimentList)>, RemoteError> {
        let folder = self.layout.experiments();
        let files = self.patiently(async || self.store.list(Some(&folder)).try_collect::<Vec<_>>().await).await;
        let mut lists = Vec::new();
        for file in files.map_err(|error| self.unreachable(&error))? {
            let path = file.location;
            let bytes = match self.patiently(async || self.read_small(&path).await).await {
                Ok(found) => found.bytes,
                // Another `gc` was told to forget it.
                Err(Error::NotFound { .. }) => continue,
                Err(error) => {
                    return Err(RemoteError::NotThere(format!("{path} cannot be read: {}", words(&error))));
                }
            };
            let list = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
                RemoteError::Damaged(format!(
                    "the list {path} in the shared cache {} is damaged: nothing is deleted, because nobody knows what it keeps; push \
                     its experiment again, or delete the list",
                    self.shown()
                ))
            })?;
            lists.push((path, list));
        }
        Ok(lists)
    }
}

fn bytes_of(list: &ExperimentList) -> object_store::Result<Vec<u8>> {
    serde_json::to_vec(list).map_err(|error| Error::Generic { store: "list", source: error.into() })
}
