//! Asks the remote for stages whose keys become known during a run, and brings what they need. Threads wait for the network, so
//! that the run does not: some ask, which is quick, and others download, so that no question waits for a download.

use super::notice::{Looked, Notice};
use crate::cache::{Gate, Key, Record, Store};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Number of threads that ask, and of threads that download.
const THREADS: usize = 4;

/// What the remote is asked for before a stage runs.
pub(super) struct Lookup {
    pub(super) stage: usize,
    /// The stage's key; `None` if its record was asked for before.
    pub(super) key: Option<Key>,
    /// Inputs that only the remote has. They are brought if the stage must run.
    pub(super) inputs: Vec<Arc<Record>>,
}

/// The threads that ask. They start with the first question and end with the run.
pub(super) struct RemoteLookups {
    store: Store,
    notices: Sender<Notice>,
    asked: Option<Sender<Lookup>>,
}

impl RemoteLookups {
    /// Sends the answers to `notices`.
    pub(super) fn new(store: &Store, notices: Sender<Notice>) -> Self {
        RemoteLookups { store: store.clone(), notices, asked: None }
    }

    /// Asks. The answer comes as [`Notice::Looked`], after [`Notice::Fetching`] if something must be downloaded.
    pub(super) fn start(&mut self, lookup: Lookup) {
        let asked = self.asked.get_or_insert_with(|| start_threads(&self.store, &self.notices));
        if let Err(lost) = asked.send(lookup) {
            // No thread could be started: the run itself waits.
            let looked = answer(&self.store, &lost.0).unwrap_or_else(|| bring(&self.store, &lost.0));
            let _ = self.notices.send(Notice::Looked(looked));
        }
    }
}

fn start_threads(store: &Store, notices: &Sender<Notice>) -> Sender<Lookup> {
    let downloads = start_pool("download", {
        let (store, notices) = (store.clone(), notices.clone());
        move |lookup| notices.send(Notice::Looked(bring(&store, &lookup))).is_ok()
    });
    let (store, notices) = (store.clone(), notices.clone());
    start_pool("remote", move |lookup| {
        if let Some(looked) = answer(&store, &lookup) {
            return notices.send(Notice::Looked(looked)).is_ok();
        }
        if notices.send(Notice::Fetching(lookup.stage)).is_err() {
            return false;
        }
        match downloads.send(lookup) {
            Ok(()) => true,
            Err(lost) => notices.send(Notice::Looked(bring(&store, &lost.0))).is_ok(),
        }
    })
}

/// Threads that do `work` for what is sent to them, until it returns false because the run has ended.
fn start_pool(name: &str, work: impl Fn(Lookup) -> bool + Clone + Send + 'static) -> Sender<Lookup> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..THREADS {
        let (work, receiver) = (work.clone(), Arc::clone(&receiver));
        let thread = std::thread::Builder::new().name(name.into());
        let _ = thread.spawn(move || while next(&receiver).is_some_and(&work) {});
    }
    sender
}

fn next(receiver: &Mutex<Receiver<Lookup>>) -> Option<Lookup> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Asks for the record. `None` if something must be downloaded before there is an answer.
fn answer(store: &Store, Lookup { stage, key, inputs }: &Lookup) -> Option<Looked> {
    store.ask_remote(key.as_slice());
    let is_there = key.is_some_and(|key| store.only_remote(key).is_some());
    (!is_there && inputs.is_empty()).then_some(Looked { stage: *stage, outcome: Ok(None), gate: None })
}

/// Brings the stage's output if the remote has it, else its inputs.
fn bring(store: &Store, Lookup { stage, key, inputs }: &Lookup) -> Looked {
    let gate = Gate::shared(store).ok();
    let outcome = bring_output(store, *key).and_then(|found| match found {
        Some(record) => Ok(Some(record)),
        None => bring_inputs(store, inputs).map(|()| None),
    });
    Looked { stage: *stage, outcome, gate }
}

/// The record of `key` with its objects, if the remote has both. They are brought at once, not when something reads them:
/// damage must show before the stage counts as finished.
fn bring_output(store: &Store, key: Option<Key>) -> Result<Option<Arc<Record>>, String> {
    let Some(record) = key.and_then(|key| store.only_remote(key)) else { return Ok(None) };
    let failed = store.fetch(std::slice::from_ref(&record)).map_err(|error| format!("{error:#}"))?;
    Ok(if failed.is_empty() { Some(record) } else { None })
}

fn bring_inputs(store: &Store, inputs: &[Arc<Record>]) -> Result<(), String> {
    let failed = store.fetch(inputs).map_err(|error| format!("{error:#}"))?;
    let Some((key, why)) = failed.first_key_value() else { return Ok(()) };
    let stage =
        inputs.iter().find(|input| input.key == *key).map(|input| input.made.stage.as_str()).unwrap_or_default();
    Err(format!("its input {stage} is in the shared cache, but {why}; run again: what cannot be had is computed"))
}
