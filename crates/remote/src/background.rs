//! Pushes what a run makes, while the run goes on.

use crate::error::RemoteError;
use crate::gc_watch::GcFiles;
use crate::push::{Pushed, Pushing, records_here};
use crate::push_experiment::Push;
use crate::shared_cache::SharedCache;
use matssl_pipeline::cache::{Key, Store};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is on its way when the user interrupts has this time to arrive.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the end of a run looks whether the user interrupts.
const LOOK: Duration = Duration::from_millis(100);

/// A thread that pushes the records of a run.
pub struct BackgroundPush {
    shared: Arc<SharedCache>,
    store: Store,
    keys: Option<Sender<Key>>,
    stop: Arc<AtomicBool>,
    all: Arc<AtomicU64>,
    pushed: Arc<Mutex<Pushed>>,
    ended: Receiver<()>,
    session: Vec<Key>,
    /// What `gc` had left in the remote when the first record was pushed.
    gc_files: Arc<Mutex<Option<GcFiles>>>,
}

impl BackgroundPush {
    /// Pushes from `store` to `shared`.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub fn start(shared: Arc<SharedCache>, store: Store) -> std::io::Result<Self> {
        // Not bounded: keys are small, and the run must not wait for the network. What is bounded is what is in memory of objects.
        let (keys, queue) = channel();
        let (end, ended) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let all = Arc::new(AtomicU64::new(0));
        let pushed = Arc::new(Mutex::new(Pushed::default()));
        let gc_files = Arc::new(Mutex::new(None));
        std::thread::Builder::new().name("push".into()).spawn({
            let (shared, store, pushed) = (Arc::clone(&shared), store.clone(), Arc::clone(&pushed));
            let (stop, all, gc_files) = (Arc::clone(&stop), Arc::clone(&all), Arc::clone(&gc_files));
            move || {
                push_all(&shared, &store, &queue, &stop, &all, &pushed, &gc_files);
                drop(end);
            }
        })?;
        let keys = Some(keys);
        Ok(BackgroundPush { shared, store, keys, stop, all, pushed, ended, session: Vec::new(), gc_files })
    }

    /// Pushes the record of `key`, which is on this disk.
    pub fn push(&mut self, key: Key) {
        self.session.push(key);
        if let Some(record) = self.store.find_here(key) {
            self.all.fetch_add(record.outputs.iter().map(|output| output.size).sum(), Ordering::Relaxed);
        }
        if let Some(keys) = &self.keys {
            // The thread ends only with this.
            let _ = keys.send(key);
        }
    }

    /// Waits until everything is pushed, or `is_interrupted`. Then lists `keys`, all that the run knows of, as needed by
    /// `experiment`: `is_all` says whether these are all of its stages.
    ///
    /// # Errors
    /// If the remote cannot be reached or written.
    pub fn finish(
        mut self,
        experiment: &str,
        keys: &[Key],
        is_all: bool,
        is_interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Pushed, RemoteError> {
        self.keys = None;
        let mut interrupted: Option<Instant> = None;
        while self.ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            if is_interrupted() {
                self.stop.store(true, Ordering::Relaxed);
                // A part of an object on a slow line would keep the user waiting for minutes.
                if interrupted.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    break;
                }
            }
        }
        let mut pushed = std::mem::take(&mut *locked(&self.pushed));
        let done = pushed.records + pushed.already + pushed.failed.len() + pushed.left;
        pushed.left += self.session.len().saturating_sub(done);
        let is_stopped = || self.stop.load(Ordering::Relaxed) || is_interrupted();
        // A network that went in the middle of the night may be back.
        if is_stopped() || self.shared.is_readonly() || !self.shared.is_back() {
            return Ok(pushed);
        }
        // The list says what `gc` keeps. If nothing is there, nothing needs to be kept.
        if !self.shared.is_there() {
            return Ok(pushed);
        }
        let now = self.shared.list(&self.store, experiment, keys, is_all)?;
        // A `gc` on another machine may have removed old objects that were not sent because they were there.
        let is_disturbed = match locked(&self.gc_files).take() {
            Some(before) => before.has_running() || !self.shared.wait_for_gc(&now, &is_stopped)?.is_as(&before),
            None => false,
        };
        if (is_disturbed || pushed.left > 0) && !is_stopped() {
            let (store, keys) = (&self.store, &self.session[..]);
            let again = self.shared.push(&Push { store, experiment, keys, all: false, is_dry: false }, &is_stopped)?;
            pushed.records = pushed.records.max(again.records);
            pushed.objects.count += again.objects.count;
            pushed.objects.bytes += again.objects.bytes;
            (pushed.failed, pushed.left) = (again.failed, again.left);
        }
        Ok(pushed)
    }
}

impl Drop for BackgroundPush {
    /// A run that fails on its way leaves the rest to the next `cache push`. The thread ends by itself, or with the process.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn push_all(
    shared: &SharedCache,
    store: &Store,
    queue: &Receiver<Key>,
    stop: &AtomicBool,
    all: &AtomicU64,
    pushed: &Mutex<Pushed>,
    gc_files: &Mutex<Option<GcFiles>>,
) {
    let is_stopped = || stop.load(Ordering::Relaxed);
    let mut pushing = Pushing {
        store,
        checks_objects: false,
        is_dry: false,
        is_stopped: &is_stopped,
        done: AtomicU64::new(0),
        all: AtomicU64::new(0),
    };
    let mut is_made = false;
    while let Ok(first) = queue.recv() {
        let keys: Vec<Key> = std::iter::once(first).chain(queue.try_iter()).collect();
        pushing.all = AtomicU64::new(all.load(Ordering::Relaxed));
        let records = records_here(store, &keys);
        let part = match make(shared, &mut is_made) && looked_for_gc(shared, gc_files) {
            true => shared.push_records(&records, &pushing),
            false => Pushed { left: records.len(), ..Pushed::default() },
        };
        locked(pushed).add(part);
    }
}

/// Looks at the files of `gc` before the first record is pushed. Without that nothing may be pushed: nobody would notice a `gc` that
/// takes part of it.
fn looked_for_gc(shared: &SharedCache, gc_files: &Mutex<Option<GcFiles>>) -> bool {
    let mut known = locked(gc_files);
    if known.is_none() {
        *known = shared.gc_files().ok();
    }
    known.is_some()
}

/// Makes the shared cache if there is none; false if it is lost or cannot be written.
fn make(shared: &SharedCache, is_made: &mut bool) -> bool {
    if !*is_made && !shared.is_lost() {
        match shared.make() {
            Ok(()) => *is_made = true,
            Err(error) => shared.lose(&error.to_string()),
        }
    }
    *is_made
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
