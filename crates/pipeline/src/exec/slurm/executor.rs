//! The run's side of its jobs. Their watch has a thread of its own: a busy controller makes its commands wait.

use super::super::notice::Notice;
use super::claim::Claims;
use super::commands::{self, Refusal};
use super::jobs::Jobs;
use super::request::{Command, Request};
use super::settings::SlurmSettings;
use crate::cache::Store;
use anyhow::{Context as _, Result, anyhow};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// The run's side.
pub(in crate::exec) struct SlurmExecutor {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl SlurmExecutor {
    /// # Errors
    /// If the cache cannot be written, or Slurm's commands are not there.
    pub(in crate::exec) fn start(
        settings: &SlurmSettings,
        experiment: &str,
        store: &Store,
        reports: Sender<Notice>,
    ) -> Result<Self> {
        let queue = match commands::queue() {
            Err(Refusal::Missing(words)) => return Err(anyhow!(words)),
            answer => answer.ok(),
        };
        let program = match &settings.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("cannot find the executable of this program")?,
        };
        let (sender, receiver) = channel();
        let now = Instant::now();
        let state = Jobs {
            settings: settings.clone(),
            program,
            experiment: experiment.to_owned(),
            store: store.clone(),
            claims: Claims::open(store)?,
            reports,
            waiting: Vec::new(),
            not_before: now,
            tries: 0,
            batches: Vec::new(),
            tracked: Vec::new(),
            asked_at: queue.as_ref().map(|_| now),
            queue: queue.unwrap_or_default(),
            pause: settings.poll,
            next_question: now + settings.poll,
            next_look: now,
            is_silent: false,
        };
        let thread = std::thread::Builder::new().name("slurm".into()).spawn(move || state.go(&receiver))?;
        Ok(SlurmExecutor { commands: sender, thread: Some(thread) })
    }

    /// Submits a stage with the next [`SlurmExecutor::flush`]. Its end is reported.
    pub(in crate::exec) fn submit(&self, request: Request) {
        let _ = self.commands.send(Command::Submit(Box::new(request)));
    }

    /// Submits what was collected, stages that need the same as one array.
    pub(in crate::exec) fn flush(&self) {
        let _ = self.commands.send(Command::Flush);
    }

    /// Takes back jobs that have not begun.
    pub(in crate::exec) fn withdraw(&self) {
        let _ = self.commands.send(Command::Withdraw);
    }

    /// Ends the watch. Jobs go on, unless they are to be cancelled.
    pub(in crate::exec) fn end(&mut self, cancel: bool) {
        let _ = self.commands.send(Command::End { cancel });
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
