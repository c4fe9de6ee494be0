//! Removes from the remote what no experiment that is listed there needs.
//!
//! A machine that pushes meanwhile loses nothing: what is younger than the grace period stays, and by the files of
//! `gc_watch.rs` a push notices a `gc` and looks again.

use crate::envelope;
use crate::error::{RemoteError, words};
use crate::layout::{digest_of, key_of};
use crate::shared_cache::{AT_A_TIME, SharedCache};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use matssl_pipeline::cache::{Amount, Digest, Key, Record};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Shorter grace periods are refused: clocks differ, and a push may take long.
const LEAST_GRACE: Duration = Duration::from_secs(3600);

/// What `gc` may remove.
#[derive(Clone, Debug)]
pub struct GcRules {
    /// Only what was written longer ago.
    pub older_than: Duration,
    /// Experiments whose lists no longer count.
    pub forget: Vec<String>,
    /// Whether it is removed, or only looked at.
    pub delete: bool,
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteSweep {
    /// Number of lists of experiments that no longer count.
    pub lists: usize,
    /// Records.
    pub records: usize,
    /// Objects.
    pub objects: Amount,
    /// Records that stay.
    pub kept: usize,
    /// Records that stay although they are damaged, because they are young or listed.
    pub damaged: usize,
}

impl SharedCache {
    /// Removes what no listed experiment needs and is older than the grace period.
    ///
    /// # Errors
    /// If the remote cannot be reached, is only read, or a list of it is damaged.
    pub fn gc(&self, rules: &GcRules) -> Result<RemoteSweep, RemoteError> {
        if rules.older_than < LEAST_GRACE {
            return Err(RemoteError::Wrong(
                "a grace period below 1h could remove what another machine is pushing".into(),
            ));
        }
        if !self.connect()? {
            return Err(RemoteError::NotThere(format!("there is no shared cache in {}", self.shown())));
        }
        if !rules.delete {
            return self.sweep(rules);
        }
        if self.is_readonly() {
            return Err(RemoteError::Wrong(format!("the shared cache {} is only read", self.shown())));
        }
        // First of all: who pushes from now on can see it.
        let running = self.begin_gc()?;
        let swept = self.sweep(rules);
        let ended = self.end_gc(&running);
        let swept = swept?;
        ended.map(|()| swept)
    }

    fn sweep(&self, rules: &GcRules) -> Result<RemoteSweep, RemoteError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let limit = now.saturating_sub(rules.older_than.as_secs()) as i64;
        let mut sweep = RemoteSweep::default();
        self.runtime.block_on(async {
            let (forgotten, listed): (Vec<_>, Vec<_>) =
                self.lists().await?.into_iter().partition(|(_, list)| rules.forget.contains(&list.experiment));
            let keys: BTreeSet<Key> = listed.into_iter().flat_map(|(_, list)| list.keys).collect();
            let objects = self.files(self.layout.objects()).await?;
            let (mut old, mut stay) = (Vec::new(), Vec::new());
            for file in self.files(self.layout.records()).await? {
                let Some(key) = key_of(&file.location) else { continue };
                let is_old = file.last_modified.timestamp() < limit && !keys.contains(&key);
                (if is_old { &mut old } else { &mut stay }).push(file);
            }
            let named = self.named_objects(&stay, &mut sweep).await?;
            sweep.kept = stay.len();
            sweep.lists = forgotten.len();
            for (path, _) in forgotten.iter().filter(|_| rules.delete) {
                self.remove(path).await?;
            }
            for file in old {
                if !rules.delete || self.remove_if_old(&file, limit).await? {
                    sweep.records += 1;
                }
            }
            for file in objects {
                let is_named = digest_of(&file.location).is_some_and(|digest| named.contains(&digest));
                let is_old = !is_named && file.last_modified.timestamp() < limit;
                if is_old && (!rules.delete || self.remove_if_old(&file, limit).await?) {
                    sweep.objects += file.size;
                }
            }
            Ok(sweep)
        })
    }

    async fn files(&self, folder: Path) -> Result<Vec<ObjectMeta>, RemoteError> {
        let list = async || self.store.list(Some(&folder)).try_collect().await;
        self.patiently(list).await.map_err(|error| self.unreachable(&error))
    }

    /// The objects that the records in `files` name, also those of other versions of this program.
    async fn named_objects(
        &self,
        files: &[ObjectMeta],
        sweep: &mut RemoteSweep,
    ) -> Result<BTreeSet<Digest>, RemoteError> {
        let read = |path: Path| async move {
            match self.patiently(async || self.store.get(&path).await?.bytes().await).await {
                Ok(bytes) => Ok(Some(bytes)),
                // Another `gc` was faster.
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(RemoteError::NotThere(format!("{path} cannot be read: {}", words(&error)))),
            }
        };
        let paths = files.iter().map(|file| file.location.clone());
        let mut contents = stream::iter(paths).map(read).buffer_unordered(2 * AT_A_TIME);
        let mut named = BTreeSet::new();
        while let Some(bytes) = contents.try_next().await? {
            let Some(bytes) = bytes else { continue };
            match envelope::record_bytes(&bytes).and_then(Record::objects_named_by) {
                Some(objects) => named.extend(objects),
                None => sweep.damaged += 1,
            }
        }
        Ok(named)
    }

    /// Removes a file, unless it was written again since it was listed.
    async fn remove_if_old(&self, file: &ObjectMeta, limit: i64) -> Result<bool, RemoteError> {
        match self.patiently(async || self.store.head(&file.location).await).await {
            Ok(now) if now.last_modified.timestamp() < limit => self.remove(&file.location).await.map(|()| true),
            Ok(_) | Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    async fn remove(&self, path: &Path) -> Result<(), RemoteError> {
        match self.patiently(async || self.store.delete(path).await).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.unreachable(&error)),
        }
    }
}
