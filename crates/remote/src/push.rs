//! Brings records to the remote: their objects first, then the record, and the first record stays.

use crate::envelope::{self, Unusable};
use crate::error::{RemoteError, is_denied, words};
use crate::find::Found;
use crate::present::Present;
use crate::shared_cache::{AT_A_TIME, SharedCache};
use crate::small_file::over;
use crate::upload::NotUploaded;
use matssl_pipeline::cache::{Amount, Digest, Key, Output, Record, Store};
use object_store::{Error, PutMode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// So many records go together: their objects, then the records. A push that is killed has all but these behind it.
const TOGETHER: usize = 32;

/// What a push has done, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Records that are new in the remote.
    pub records: usize,
    /// Records that were there already.
    pub already: usize,
    /// Objects that were uploaded.
    pub objects: Amount,
    /// Stages that were not pushed, each with the reason.
    pub failed: Vec<(String, String)>,
    /// Number of records that were not tried, because the user interrupted or the remote is lost.
    pub left: usize,
}

impl Pushed {
    pub(crate) fn add(&mut self, other: Pushed) {
        self.records += other.records;
        self.already += other.already;
        self.objects.count += other.objects.count;
        self.objects.bytes += other.objects.bytes;
        self.failed.extend(other.failed);
        self.left += other.left;
    }
}

/// What is to be done with a record.
enum Todo {
    /// It is there.
    Nothing,
    /// It is there, but who pushes asked for its objects to be looked at too.
    Check,
    /// It is not there; or something else is, which it replaces. So is it written.
    Push(PutMode),
}

/// How a push goes about it.
pub(crate) struct Pushing<'p> {
    pub(crate) store: &'p Store,
    /// Whether the objects of records that are there are looked at too.
    pub(crate) checks_objects: bool,
    /// Whether nothing is written.
    pub(crate) is_dry: bool,
    /// Whether the user interrupts.
    pub(crate) is_stopped: &'p (dyn Fn() -> bool + Sync),
    /// Bytes that are on the other side, and all bytes.
    pub(crate) done: AtomicU64,
    pub(crate) all: AtomicU64,
}

impl SharedCache {
    /// Pushes `records`, all of which are on this disk.
    pub(crate) fn push_records(&self, records: &[Record], pushing: &Pushing<'_>) -> Pushed {
        let mut pushed = Pushed::default();
        let outputs = records.iter().flat_map(|record| &record.outputs);
        let objects: BTreeSet<Digest> = outputs.map(|output| output.digest).collect();
        let present = if self.takes_nothing() { None } else { self.present(objects.len()) };
        for records in records.chunks(TOGETHER) {
            if self.takes_nothing() || (pushing.is_stopped)() {
                pushed.left += records.len();
            } else {
                pushed.add(self.push_together(records, present.as_ref(), pushing));
            }
        }
        let all = pushing.all.load(Ordering::Relaxed);
        self.observer.progress(all, all);
        pushed
    }

    fn push_together(&self, records: &[Record], present: Option<&Present>, pushing: &Pushing<'_>) -> Pushed {
        let mut pushed = Pushed::default();
        let todo = self.in_parallel(records, |record| self.todo(record, pushing));
        let mut wanted: BTreeMap<Digest, &Output> = BTreeMap::new();
        let mut again: BTreeSet<Digest> = BTreeSet::new();
        for (record, todo) in records.iter().zip(&todo) {
            if let Some(Ok(Todo::Check | Todo::Push(_))) = todo {
                wanted.extend(record.outputs.iter().map(|output| (output.digest, output)));
                again.extend(pushing.store.refused_objects(record.key).unwrap_or_default());
            }
        }
        let wanted: Vec<&Output> = wanted.into_values().collect();
        let results = self
            .in_parallel(&wanted, |output| self.push_object(output, again.contains(&output.digest), present, pushing));
        let mut faults: BTreeMap<Digest, Option<String>> = BTreeMap::new();
        for (output, result) in wanted.iter().zip(results) {
            match result {
                Some(Ok(true)) => pushed.objects += output.size,
                Some(Ok(false)) => {}
                Some(Err(error)) => drop(faults.insert(output.digest, self.why_not(&error))),
                None => drop(faults.insert(output.digest, None)),
            }
        }
        let fault_of = |record: &Record| record.outputs.iter().find_map(|output| faults.get(&output.digest)).cloned();
        let pairs: Vec<(&Record, Option<Result<Todo, NotUploaded>>)> = records.iter().zip(todo).collect();
        let results = in_parallel(&pairs, &|| true, |(record, todo)| match (todo, fault_of(record)) {
            (None, _) | (Some(Ok(Todo::Check | Todo::Push(_))), Some(None)) => Ok(None),
            (Some(Ok(Todo::Check | Todo::Push(_))), Some(Some(why))) => Err(Some(why)),
            (Some(Ok(Todo::Nothing)), _) => Ok(Some(false)),
            (Some(Ok(Todo::Check)), None) => {
                if !pushing.is_dry {
                    pushing.store.accept_again(record.key);
                }
                Ok(Some(false))
            }
            (Some(Ok(Todo::Push(_))), None) if pushing.is_dry => Ok(Some(true)),
            (Some(Ok(Todo::Push(_))), None) if self.takes_nothing() => Ok(None),
            (Some(Ok(Todo::Push(mode))), None) => {
                let put = self.put_record(record, mode.clone(), pushing.store);
                self.runtime.block_on(put).map(Some).map_err(|error| self.why_not(&error))
            }
            (Some(Err(error)), _) => Err(self.why_not(error)),
        });
        for (record, result) in records.iter().zip(results) {
            match result {
                Some(Ok(Some(true))) => pushed.records += 1,
                Some(Ok(Some(false))) => pushed.already += 1,
                Some(Err(Some(why))) => pushed.failed.push((record.made.stage.clone(), why)),
                Some(Ok(None) | Err(None)) | None => pushed.left += 1,
            }
        }
        pushed
    }

    /// Why something was not pushed; `None` if it was not tried.
    fn why_not(&self, error: &NotUploaded) -> Option<String> {
        match error {
            NotUploaded::Stopped => None,
            NotUploaded::Remote(error) => {
                if is_denied(error) {
                    self.deny_writes(&words(error));
                } else {
                    self.failed(error);
                }
                Some(words(error))
            }
            NotUploaded::Here(error) => Some(error.to_string()),
        }
    }

    /// Does `work` for each of `items`; `None` for those that were not tried because the remote is lost or refuses to be written.
    fn in_parallel<I: Sync, T: Send>(&self, items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<Option<T>> {
        in_parallel(items, &|| !self.takes_nothing(), work)
    }

    /// What is to be done with `record`.
    fn todo(&self, record: &Record, pushing: &Pushing<'_>) -> Result<Todo, NotUploaded> {
        let found = self.runtime.block_on(self.patiently(async || self.look_for(record.key).await))?;
        self.succeeded();
        let is_refused = pushing.store.refused_objects(record.key).is_some();
        Ok(match found {
            Found::Nothing => Todo::Push(PutMode::Create),
            // What this cache refused because of its objects: now the record is pushed that has them.
            Found::Record(envelope) if is_refused && envelope.record.content != record.content => {
                Todo::Push(PutMode::Overwrite)
            }
            // Of a stage that came out differently elsewhere, this cache has other objects.
            Found::Record(envelope) if envelope.record.content != record.content => Todo::Nothing,
            Found::Record(_) if pushing.checks_objects || is_refused => Todo::Check,
            Found::Record(_) => Todo::Nothing,
            Found::Unusable(Unusable::Damaged(_), version) => Todo::Push(over(version)),
            // A signed record is worth more than one without a signature. One that is signed by others stays: else those who do not
            // trust each other would replace each other's for ever.
            Found::Unusable(Unusable::Untrusted(origin), version)
                if self.signing_key.is_some() && origin.signed_by.is_none() =>
            {
                Todo::Push(over(version))
            }
            Found::Unusable(Unusable::Untrusted(_), _) => Todo::Nothing,
        })
    }

    /// Uploads an object if it is not there, or `anyway`. Returns whether it was uploaded.
    fn push_object(
        &self,
        output: &Output,
        anyway: bool,
        present: Option<&Present>,
        pushing: &Pushing<'_>,
    ) -> Result<bool, NotUploaded> {
        if (pushing.is_stopped)() {
            return Err(NotUploaded::Stopped);
        }
        let has = !anyway
            && match present {
                Some(present) => present.has(output),
                None => self.runtime.block_on(self.patiently(async || self.has_object(output).await))?,
            };
        if !has && !pushing.is_dry {
            self.runtime.block_on(self.upload_patiently(output, pushing))?;
        }
        if let Some(present) = present {
            present.add(output);
        }
        self.succeeded();
        let done = pushing.done.fetch_add(output.size, Ordering::Relaxed) + output.size;
        self.observer.progress(done, pushing.all.load(Ordering::Relaxed).max(done));
        Ok(!has)
    }

    async fn upload_patiently(&self, output: &Output, pushing: &Pushing<'_>) -> Result<(), NotUploaded> {
        let here = Mutex::new(None);
        let result = self.patiently(async || match self.upload(pushing.store, output, pushing.is_stopped).await {
            Ok(()) => Ok(()),
            Err(NotUploaded::Remote(error)) => Err(error),
            Err(other) => {
                *here.lock().unwrap_or_else(PoisonError::into_inner) = Some(other);
                Ok(())
            }
        });
        result.await?;
        here.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Puts the record where there is none, or in the place of what does not count, as `mode` says. Returns whether it is the
    /// record that is there now.
    async fn put_record(&self, record: &Record, mode: PutMode, store: &Store) -> Result<bool, NotUploaded> {
        let here = |error: anyhow::Error| NotUploaded::Here(RemoteError::Local(error));
        let bytes = store.record_bytes(record.key).map_err(here)?;
        let bytes = envelope::seal(&bytes, self.signing_key.as_ref()).map_err(|error| here(error.into()))?;
        match self.write_small(&self.layout.record(record.key), &bytes, mode).await {
            Ok(()) => {}
            // Another was first, or the answer to our first try was lost: what is there now decides.
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                return match self.patiently(async || self.look_for(record.key).await).await? {
                    Found::Record(_) => Ok(false),
                    _ => Err(NotUploaded::Here(RemoteError::Damaged(
                        "another process wrote a record that does not count in the meantime; push again".into(),
                    ))),
                };
            }
            Err(error) => return Err(error.into()),
        }
        self.succeeded();
        store.accept_again(record.key);
        Ok(true)
    }
}

/// The records of those of `keys` that are on this disk.
pub(crate) fn records_here(store: &Store, keys: &[Key]) -> Vec<Record> {
    keys.iter().filter_map(|key| store.find_here(*key)).collect()
}

/// Does `work` for each of `items`, several at a time, while it `goes_on`; `None` for the rest.
fn in_parallel<I: Sync, T: Send>(
    items: &[I],
    goes_on: &(dyn Fn() -> bool + Sync),
    work: impl Fn(&I) -> T + Sync,
) -> Vec<Option<T>> {
    let results: Vec<Mutex<Option<T>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(items.len()) {
            scope.spawn(|| {
                while goes_on() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(item), Some(result)) = (items.get(index), results.get(index)) else { return };
                    *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(work(item));
                }
            });
        }
    });
    results.into_iter().map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}
