//! What each experiment needs: lists of keys, which `gc` keeps. Each cache that pushes an experiment has a list of its own, so
//! that two versions of an experiment do not take each other's records away.

use crate::error::{RemoteError, words};
use crate::shared_cache::SharedCache;
use futures_util::TryStreamExt as _;
use matssl_pipeline::cache::{Digest, Key, Store, host_name};
use object_store::path::Path;
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode};
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

impl SharedCache {
    /// Lists `keys` as needed by `experiment`. If these are not `all` of them, those of the last list stay on it.
    pub(crate) fn list(&self, store: &Store, experiment: &str, keys: &[Key], all: bool) -> Result<(), RemoteError> {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
        let host = host_name();
        let root = store.root().display();
        // In the name of a file that all can read: not the path of the cache itself.
        let who = Digest::of(format!("{user}\n{host}\n{root}").as_bytes()).short();
        let path = self.layout.experiment(experiment).join(format!("{who}.json"));
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut list =
            ExperimentList { experiment: experiment.to_owned(), user, host, at, keys: keys.iter().copied().collect() };
        let result = self.runtime.block_on(async {
            if !all && let Some(last) = self.patiently(async || self.read_list(&path).await).await? {
                list.keys.extend(last.keys);
            }
            let bytes =
                serde_json::to_vec(&list).map_err(|error| Error::Generic { store: "list", source: error.into() })?;
            let put = async || self.store.put_opts(&path, bytes.clone().into(), PutMode::Overwrite.into()).await;
            self.patiently(put).await
        });
        result.map(|_| ()).map_err(|error| self.unreachable(&error))
    }

    /// A list; `None` if there is none, or it is damaged.
    async fn read_list(&self, path: &Path) -> object_store::Result<Option<ExperimentList>> {
        match self.store.get(path).await {
            Ok(found) => Ok(serde_json::from_slice(&found.bytes().await?).ok()),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
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
            let bytes = self
                .patiently(async || self.store.get(&path).await?.bytes().await)
                .await
                .map_err(|error| RemoteError::NotThere(format!("{path} cannot be read: {}", words(&error))))?;
            let list = serde_json::from_slice(&bytes).map_err(|_| {
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
