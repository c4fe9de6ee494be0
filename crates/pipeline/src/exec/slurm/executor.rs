//! The run's side of its jobs. Their watch has a thread of its own: a busy controller makes its commands wait.

use super::super::job::Job;
use super::super::notice::Notice;
use super::claim::Claims;
use super::commands::{self, Refusal};
use super::jobs::Jobs;
use super::settings::SlurmSettings;
use crate::cache::{Key, Store};
use anyhow::{Context as _, Result, anyhow};
use matssl_base::device_name::DeviceName;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A stage to run as a job.
#[derive(Clone, Debug)]
pub(in crate::exec) struct Request {
    /// The number under which it is reported.
    pub(in crate::exec) id: usize,
    pub(in crate::exec) key: Key,
    pub(in crate::exec) job: Job,
    /// Whether it trains, and so goes on from a checkpoint.
    pub(in crate::exec) trains: bool,
    /// The device that it computes on, where the site has GPUs for its kind.
    pub(in crate::exec) device: Option<DeviceName>,
    /// Threads and bytes of memory of the stage, if they are known.
    pub(in crate::exec) threads: Option<usize>,
    pub(in crate::exec) memory: Option<u64>,
    /// Longest wall time of one attempt.
    pub(in crate::exec) timeout: Option<Duration>,
    /// How often its job was taken away.
    pub(in crate::exec) taken: u32,
}

/// The run's side.
pub(in crate::exec) struct SlurmExecutor {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

pub(super) enum Command {
    Submit(Box<Request>),
    /// No more requests come for now.
    Flush,
    /// Take back what has not begun.
    Withdraw,
    /// End this thread; jobs go on, or are cancelled.
    End {
        cancel: bool,
    },
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

/// A request for tests.
#[cfg(test)]
pub(super) fn test_request(id: usize) -> Request {
    use crate::cache::Digest;
    use std::path::PathBuf;
    let job = Job {
        experiment: "e".into(),
        stage: format!("s{id}"),
        kind: "toy".into(),
        params: serde_json::Value::Null,
        seed: None,
        inputs: Vec::new(),
        places: Default::default(),
        cache: PathBuf::new(),
        force: false,
        check: false,
        device: Default::default(),
        tensorboard: None,
        checkpoint_wait: Duration::ZERO,
        threads: 1,
    };
    let key = Key(Digest::of(&id.to_le_bytes()));
    let (threads, memory, timeout) = (None, None, None);
    Request { id, key, job, trains: false, device: None, threads, memory, timeout, taken: 0 }
}
