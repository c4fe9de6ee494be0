//! Writes the records of stages that run within this process. Stages that end during one flush of the disk share the
//! next.

use super::attempt::Computed;
use super::job::Message;
use super::notice::{Notice, Report};
use crate::cache::Store;
use crate::events::ErrorClass;
use matssl_base::machine;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Minimum time between the starts of two flushes of the disk. Only worker processes and the end of the run wait for
/// them.
const APART: Duration = Duration::from_millis(50);

/// A finished attempt.
pub(super) struct Done {
    /// The number under which it was started.
    pub(super) id: usize,
    pub(super) computed: Box<Computed>,
    pub(super) seconds: f64,
    /// Mark in the environment variables of the programs that it started.
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

    /// Sender for finished attempts.
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
        for Done { id, computed, seconds, mark } in std::iter::once(first).chain(waiting.try_iter()) {
            let (draft, end) = computed.split();
            let key = draft.record().key;
            drafts.push(draft);
            ends.push((id, key, seconds, end));
            marks.push(mark);
        }
        // One search, for all of them, for programs that left their process group.
        if machine::kill_marked(&marks) > 0 {
            // A program that was still alive may have written to files after they were hashed.
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
        // One flush of many files takes as long as of one: wait for more.
        std::thread::sleep(APART.saturating_sub(began.elapsed()));
    }
}
