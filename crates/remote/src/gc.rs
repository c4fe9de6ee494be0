//! Removes from the remote what no experiment that is listed there needs.
//!
//! A machine that pushes meanwhile loses nothing: what is younger than the grace period stays, and by the files of
//! `gc_watch.rs` a push notices a `gc` and looks again.

use crate::envelope;
use crate::error::{RemoteError, words};
use crate::layout::{digest_of, key_of};
use crate::running_gc::RunningGc;
use crate::shared_cache::{AT_A_TIME, SharedCache};
use crate::store_time::StoreTime;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use matssl_pipeline::cache::{Amount, Digest, Key, Record};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use std::collections::BTreeSet;
use std::time::Duration;

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
    /// Files that killed pushes have left in a folder.
    pub leftovers: Amount,
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
            return self.sweep(rules, None);
        }
        self.writable()?;
        // First of all: who pushes from now on can see it.
        let running = self.begin_gc()?;
        for path in self.gc_files()?.dead(&running.began) {
            self.runtime.block_on(self.remove(&path))?;
        }
        let swept = self.sweep(rules, Some(&running));
        let ended = self.end_gc(running);
        let swept = swept?;
        ended.map(|()| swept)
    }

    /// Removes what may go if a `gc` is `running`, else only counts it.
    pub(crate) fn sweep(&self, rules: &GcRules, running: Option<&RunningGc>) -> Result<RemoteSweep, RemoteError> {
        // By the store's clock, as the files' times are: this machine's may be wrong by more than the grace period.
        let now = running.map_or_else(StoreTime::of_this_machine, |running| running.began);
        let limit = now.seconds().saturating_sub(rules.older_than.as_secs().try_into().unwrap_or(i64::MAX));
        let is_old = |file: &ObjectMeta| file.last_modified.timestamp() < limit;
        let mut sweep =
            RemoteSweep { leftovers: self.remove_leftovers(limit, running.is_some())?, ..RemoteSweep::default() };
        self.runtime.block_on(async {
            let (forgotten, listed): (Vec<_>, Vec<_>) =
                self.lists().await?.into_iter().partition(|(_, list)| rules.forget.contains(&list.experiment));
            let keys: BTreeSet<Key> = listed.into_iter().flat_map(|(_, list)| list.keys).collect();
            let records = self.files(self.layout.records(), |file| key_of(&file.location).is_some()).await?;
            let may_go =
                |file: &ObjectMeta| is_old(file) && key_of(&file.location).is_none_or(|key| !keys.contains(&key));
            let (old, stay): (Vec<_>, Vec<_>) = records.into_iter().partition(may_go);
            let named = self.named_objects(&stay, &mut sweep).await?;
            let is_named = |file: &ObjectMeta| digest_of(&file.location).is_some_and(|digest| named.contains(&digest));
            let unnamed = self.files(self.layout.objects(), |file| is_old(file) && !is_named(file)).await?;
            sweep.kept = stay.len();
            sweep.lists = forgotten.len();
            if let Some(running) = running {
                running.check()?;
                for (path, _) in &forgotten {
                    self.remove(path).await?;
                }
            }
            sweep.records = self.remove_old(old, limit, running).await?.count;
            sweep.objects = self.remove_old(unnamed, limit, running).await?;
            Ok(sweep)
        })
    }

    /// The files in `folder` that are `wanted`. There may be millions of others.
    async fn files(&self, folder: Path, wanted: impl Fn(&ObjectMeta) -> bool) -> Result<Vec<ObjectMeta>, RemoteError> {
        let wanted = |file: &ObjectMeta| std::future::ready(wanted(file));
        let list = async || self.store.list(Some(&folder)).try_filter(wanted).try_collect().await;
        self.patiently(list).await.map_err(|error| self.unreachable(&error))
    }

    /// The objects that the records in `files` name, also those of other versions of this program.
    async fn named_objects(
        &self,
        files: &[ObjectMeta],
        sweep: &mut RemoteSweep,
    ) -> Result<BTreeSet<Digest>, RemoteError> {
        let read = |path: Path| async move {
            match self.patiently(async || self.read_small(&path).await).await {
                Ok(found) => Ok(Some(found.bytes.unwrap_or_default())),
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

    /// Removes files, several at a time; those that were written again since they were listed stay. Only counts them if no `gc` is
    /// running.
    async fn remove_old(
        &self,
        files: Vec<ObjectMeta>,
        limit: i64,
        running: Option<&RunningGc>,
    ) -> Result<Amount, RemoteError> {
        let remove = |file: ObjectMeta| async move {
            let Some(running) = running else { return Ok(Some(file.size)) };
            running.check()?;
            match self.patiently(async || self.store.head(&file.location).await).await {
                Ok(now) if now.last_modified.timestamp() < limit => {
                    self.remove(&file.location).await.map(|()| Some(file.size))
                }
                Ok(_) | Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(self.unreachable(&error)),
            }
        };
        let mut removed = stream::iter(files).map(remove).buffer_unordered(AT_A_TIME);
        let mut amount = Amount::default();
        while let Some(size) = removed.try_next().await? {
            if let Some(size) = size {
                amount += size;
            }
        }
        Ok(amount)
    }
}
