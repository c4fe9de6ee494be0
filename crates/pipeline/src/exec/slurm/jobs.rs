//! Waits for jobs: looks into the folders of batches, and asks the controller.

use super::super::job::Message;
use super::super::notice::{Notice, Report};
use super::batch::Batch;
use super::claim::Claims;
use super::commands::{self, Refusal};
use super::queue::Queue;
use super::request::{Command, Request};
use super::script::Needs;
use super::settings::SlurmSettings;
use super::tracked::Tracked;
use crate::cache::Store;
use crate::events::ErrorClass;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Time between two looks into the folders of few batches.
pub(super) const LOOK: Duration = Duration::from_millis(300);
/// Longest time between two questions to the controller, if nothing changes.
const SELDOM: Duration = Duration::from_secs(60);

/// The jobs that a run waits for: the thread's side.
pub(super) struct Jobs {
    pub(super) settings: SlurmSettings,
    pub(super) program: PathBuf,
    pub(super) experiment: String,
    pub(super) store: Store,
    pub(super) claims: Claims,
    pub(super) reports: Sender<Notice>,
    /// Not submitted yet.
    pub(super) waiting: Vec<Request>,
    /// Nothing is submitted before: the controller did not answer.
    pub(super) not_before: Instant,
    pub(super) tries: u32,
    /// `None`: all of its tasks have ended.
    pub(super) batches: Vec<Option<Batch>>,
    pub(super) tracked: Vec<Tracked>,
    pub(super) queue: Queue,
    /// When the queue was read; `None`: never.
    pub(super) asked_at: Option<Instant>,
    pub(super) pause: Duration,
    pub(super) next_question: Instant,
    pub(super) next_look: Instant,
    /// Whether the user knows that the controller does not answer.
    pub(super) is_silent: bool,
}

impl Jobs {
    pub(super) fn go(mut self, commands: &Receiver<Command>) {
        loop {
            let now = Instant::now();
            if now >= self.next_look {
                self.look(now);
            }
            let wait = self.next_look.saturating_duration_since(now);
            match commands.recv_timeout(wait) {
                Ok(Command::Submit(request)) => self.waiting.push(*request),
                Ok(Command::Flush) => self.submit_all(),
                Ok(Command::Withdraw) => self.withdraw(),
                Ok(Command::End { cancel }) => {
                    if cancel {
                        self.cancel(&|_| true, false);
                    }
                    self.forget_ended_batches();
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    pub(super) fn tell(&self, id: usize, message: Message) {
        let _ = self.reports.send(Report::new(id, message).into());
    }

    pub(super) fn warn(&self, message: String) {
        let _ = self.reports.send(Notice::Warning(message));
    }

    pub(super) fn needs(&self, request: &Request) -> Needs {
        let settings = self.settings.of_kind(&request.job.kind);
        Needs {
            threads: request.threads.or(settings.threads).unwrap_or(1),
            memory_mib: request.memory.or(settings.memory).map(|bytes| bytes.div_ceil(1 << 20)),
            gpu: request.device.is_some() && settings.gpu.is_some(),
            settings,
        }
    }

    /// Looks at what tasks have left, and asks the controller when it is time.
    fn look(&mut self, now: Instant) {
        if !self.waiting.is_empty() && self.tries > 0 && now >= self.not_before {
            self.submit_all();
        }
        self.collect(now);
        if now >= self.next_question && !self.tracked.is_empty() {
            let before: Vec<bool> = self.tracked.iter().map(Tracked::is_waiting).collect();
            if self.ask(now) {
                self.read_messages();
                self.judge(now);
            }
            let changed = before.len() != self.tracked.len()
                || before.iter().zip(&self.tracked).any(|(before, task)| *before != task.is_waiting());
            self.pause =
                if changed { self.settings.poll } else { (self.pause * 3 / 2).min(SELDOM.max(self.settings.poll)) };
            self.next_question = Instant::now() + self.pause;
        }
        let live: BTreeSet<usize> = self.tracked.iter().map(|task| task.batch).collect();
        // Each look reads one folder a batch.
        self.next_look = Instant::now() + LOOK * (1 + live.len() as u32 / 10).min(30);
    }

    /// Reports tasks that have left a last message.
    fn collect(&mut self, now: Instant) {
        let live: BTreeSet<usize> = self.tracked.iter().map(|task| task.batch).collect();
        let mut ended: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for index in live {
            let tasks = self.batches[index].as_ref().map(Batch::ended).unwrap_or_default();
            ended.insert(index, tasks);
        }
        let mut rest = Vec::new();
        for mut task in std::mem::take(&mut self.tracked) {
            let has_ended = ended.get(&task.batch).is_some_and(|tasks| tasks.contains(&task.task));
            if !has_ended || !self.take_last_message(&mut task, now) {
                rest.push(task);
            } else {
                self.close(&task);
            }
        }
        self.tracked = rest;
        self.forget_ended_batches();
    }

    /// Reports the last message of a task. False if it names a record that is not visible yet.
    fn take_last_message(&mut self, task: &mut Tracked, now: Instant) -> bool {
        let id = task.request.id;
        if task.awaited.is_none() {
            self.forward(task);
            let Some(batch) = &self.batches[task.batch] else { return true };
            match batch.last_message(task.task) {
                Some(Message::Finished { key, ran, seconds }) => task.awaited = Some((now, key, ran, seconds)),
                Some(message) => {
                    self.tell(id, message);
                    return true;
                }
                None => return false,
            }
        }
        let Some((since, key, ran, seconds)) = task.awaited else { return false };
        match self.store.find(key) {
            Some(record) => {
                let message = Message::Finished { key, ran, seconds };
                let _ = self.reports.send(Report { id, message, record: Some(Arc::new(record)) }.into());
                true
            }
            None if now.duration_since(since) < self.settings.visibility => false,
            None => {
                let message = format!(
                    "{} says that its record is written, but it cannot be read here after {} s",
                    task.name(None),
                    self.settings.visibility.as_secs()
                );
                self.tell(id, Message::Failed { class: ErrorClass::Failed, message });
                true
            }
        }
    }

    /// Reads the queue. False if the controller does not answer.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        match commands::queue() {
            Ok(queue) => {
                (self.queue, self.asked_at) = (queue, Some(now));
                self.is_silent = false;
                true
            }
            Err(refusal) => {
                self.silent(&refusal);
                false
            }
        }
    }

    pub(super) fn silent(&mut self, refusal: &Refusal) {
        if !std::mem::replace(&mut self.is_silent, true) {
            self.warn(format!("Slurm does not answer ({}); jobs go on, and this run asks again", refusal.words()));
        }
    }

    /// Passes on what running tasks have said.
    fn read_messages(&mut self) {
        let mut tracked = std::mem::take(&mut self.tracked);
        tracked.iter_mut().for_each(|task| self.forward(task));
        self.tracked = tracked;
    }

    pub(super) fn forward(&self, task: &mut Tracked) {
        let Some(batch) = &self.batches[task.batch] else { return };
        let mut progress = None;
        for message in batch.messages(task.task, &mut task.offset) {
            match message {
                Message::Memory { mib } => task.peak_mib = Some(mib),
                // Of many the last.
                Message::Progress(_) => progress = Some(message),
                message => self.tell(task.request.id, message),
            }
        }
        if let Some(progress) = progress {
            self.tell(task.request.id, progress);
        }
    }

    fn withdraw(&mut self) {
        for request in std::mem::take(&mut self.waiting) {
            let _ = self.reports.send(Notice::Withdrawn(request.id));
        }
        self.cancel(&Tracked::is_waiting, true);
        self.tracked.iter_mut().filter(|task| task.is_waiting()).for_each(|task| task.withdrawn = true);
        self.next_question = Instant::now();
        self.next_look = Instant::now();
    }

    fn cancel(&mut self, which: &dyn Fn(&Tracked) -> bool, only_waiting: bool) {
        let job = |task: &Tracked| self.batches[task.batch].as_ref().and_then(Batch::submitted);
        let tasks: Vec<(u64, usize)> = self
            .tracked
            .iter()
            .filter(|task| which(task))
            .filter_map(|task| Some((task.entry.as_ref().map(|entry| entry.job).or_else(|| job(task))?, task.task)))
            .collect();
        if let Err(refusal) = commands::cancel(&tasks, only_waiting) {
            self.warn(format!("cannot cancel jobs: {}", refusal.words()));
        }
    }
}
