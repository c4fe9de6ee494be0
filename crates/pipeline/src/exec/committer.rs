//! Writes the records of stages that are done within this process: those that end while one flush of the disk is under
//! way share the next.

use super::attempt::Fresh;
use super::job::Message;
use super::notice::{Notice, Report};
use crate::cache::Store;
use crate::events::ErrorClass;
use matssl_base::machine;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Flushes of the disk begin at least so far apart; nobody but worker processes and the end of the run waits for them.
const APART: Duration = Duration::from_millis(50);

/// A finished try.
pub(super) struct Done {
    /// The number under which it was started.
    pub(super) id: usize,
    pub(super) fresh: Box<Fresh>,
    pub(super) seconds: f64,
    /// What the programs that it started carry in their environment.
    pub(super) mark: String,
}

/// A thread that writes records.
pub(super) struct Committer {
    done: Option<Sender<Done>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Reports each record to `reports`.
    pub(super) fn new(store: Store, reports: Sender<Notice>) -> std::io::Result<Self> {
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

fn commit_all(store: &Store, waiting: &Receiver<Done>, reports: &Sender<Notice>) {
    while let Ok(first) = waiting.recv() {
        let began = Instant::now();
        let mut drafts = Vec::new();
        let mut ends = Vec::new();
        let mut marks = Vec::new();
        for Done { id, fresh, seconds, mark } in std::iter::once(first).chain(waiting.try_iter()) {
            let (draft, end) = fresh.split();
            let key = draft.record().key;
            drafts.push(draft);
            ends.push((id, key, seconds, end));
            marks.push(mark);
        }
        // One look for all of them at what has left its process group.
        if machine::kill_marked(&marks) > 0 {
            // What was alive until now may have written to what was hashed.
            drafts.iter_mut().for_each(|draft| draft.distrust(store));
        }
        for (record, (id, key, seconds, end)) in store.commit(drafts).into_iter().zip(ends) {
            let report = match record {
                Ok(record) => {
                    let message = Message::Finished { key, ran: true, seconds };
                    Report { id, message, record: Some(Arc::new(record)) }
                }
                Err(error) => {
                    let message = format!("its record cannot be written: {error:#}");
                    Report::new(id, Message::Failed { class: ErrorClass::Failed, message })
                }
            };
            let _ = reports.send(report.into());
            end();
        }
        // The disk flushes many files in the time of one: a few more may come.
        std::thread::sleep(APART.saturating_sub(began.elapsed()));
    }
}
