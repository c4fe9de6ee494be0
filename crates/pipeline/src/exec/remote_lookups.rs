//! Asks the remote for stages whose keys become known during a run. Threads wait for the network, so that the run does not.

use super::notice::{Looked, Notice};
use crate::cache::{Gate, Key, Record, Store};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Number of threads that ask.
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

    /// Asks; the answer comes as [`Notice::Looked`].
    pub(super) fn start(&mut self, lookup: Lookup) {
        let asked = self.asked.get_or_insert_with(|| start_threads(&self.store, &self.notices));
        if let Err(lost) = asked.send(lookup) {
            // No thread could be started: the run goes on as without a remote.
            let _ = self.notices.send(Notice::Looked(answer(&self.store, lost.0)));
        }
    }
}

fn start_threads(store: &Store, notices: &Sender<Notice>) -> Sender<Lookup> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..THREADS {
        let (store, notices, receiver) = (store.clone(), notices.clone(), Arc::clone(&receiver));
        let thread = std::thread::Builder::new().name("remote".into());
        let _ = thread.spawn(move || {
            while let Some(lookup) = next(&receiver) {
                if notices.send(Notice::Looked(answer(&store, lookup))).is_err() {
                    return;
                }
            }
        });
    }
    sender
}

fn next(receiver: &Mutex<Receiver<Lookup>>) -> Option<Lookup> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn answer(store: &Store, Lookup { stage, key, inputs }: Lookup) -> Looked {
    let gate = Gate::shared(store).ok();
    let outcome = found(store, key).and_then(|found| match found {
        Some(record) => Ok(Some(record)),
        None => bring_inputs(store, &inputs).map(|()| None),
    });
    Looked { stage, outcome, gate }
}

/// The record of `key` with its objects, if the remote has both. They are brought at once, not when something reads them:
/// damage must show before the stage counts as finished.
fn found(store: &Store, key: Option<Key>) -> Result<Option<Arc<Record>>, String> {
    let Some(key) = key else { return Ok(None) };
    store.ask_remote(&[key]);
    let Some(record) = store.only_remote(key) else { return Ok(None) };
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
