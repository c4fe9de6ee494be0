//! Writes the records of stages that are done within this process: those that end while one flush of the disk is under
//! way share the next.

use super::attempt::Fresh;
use super::job::{ErrorClass, Message};
use super::local::Report;
use crate::cache::Store;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// A finished try: its number, itself, the seconds it took.
type Done = (usize, Fresh, f64);

/// A thread that writes records.
pub(super) struct Committer {
    done: Option<Sender<Done>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Reports each record to `reports`.
    pub(super) fn new(store: Store, reports: Sender<Report>) -> std::io::Result<Self> {
        let (done, waiting) = channel();
        let thread = std::thread::Builder::new().name("committer".into());
        let thread = thread.spawn(move || commit_all(&store, &waiting, &reports))?;
        Ok(Committer { done: Some(done), thread: Some(thread) })
    }

    /// Where finished tries are sent.
    pub(super) fn sender(&self) -> Option<Sender<Done>> {
        self.done.clone()
    }
}

impl Drop for Committer {
    /// Waits until all records are written.
    fn drop(&mut self) {
        self.done = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn commit_all(store: &Store, waiting: &Receiver<Done>, reports: &Sender<Report>) {
    while let Ok(first) = waiting.recv() {
        let mut drafts = Vec::new();
        let mut ends = Vec::new();
        for (id, fresh, seconds) in std::iter::once(first).chain(waiting.try_iter()) {
            let (draft, end) = fresh.split();
            let key = draft.key();
            drafts.push(draft);
            ends.push((id, key, seconds, end));
        }
        for (record, (id, key, seconds, end)) in store.commit(drafts).into_iter().zip(ends) {
            let report = match record {
                Ok(record) => {
                    let message = Message::Finished { key, ran: true, seconds };
                    Report { id, message, record: Some(Box::new(record)) }
                }
                Err(error) => {
                    let message = format!("its record cannot be written: {error:#}");
                    Report::new(id, Message::Failed { class: ErrorClass::Failed, message })
                }
            };
            let _ = reports.send(report);
            end();
        }
    }
}
