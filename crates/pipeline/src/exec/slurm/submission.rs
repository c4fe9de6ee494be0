//! Submits stages, those that need the same as one job array, unless another run has submitted them.

use super::super::job::Message;
use super::super::notice::Notice;
use super::batch::{Batch, Task};
use super::claim::Owner;
use super::commands::{self, Refusal};
use super::jobs::{Jobs, LOOK};
use super::queue::State;
use super::request::Request;
use super::script::{Needs, Worker, script};
use super::tracked::Tracked;
use anyhow::{Context as _, Result, anyhow};
use matssl_base::machine;
use std::time::{Duration, Instant};

/// Maximum number of tasks of an array: Slurm's own default.
const MOST_TASKS: usize = 1000;
/// How often a submission is tried that the controller does not answer.
const MOST_TRIES: u32 = 6;

impl Jobs {
    /// Submits everything that waits: stages that need the same together.
    pub(super) fn submit_all(&mut self) {
        if self.waiting.is_empty() || Instant::now() < self.not_before {
            return;
        }
        let mut groups: Vec<(Needs, Vec<Request>)> = Vec::new();
        for request in std::mem::take(&mut self.waiting) {
            let needs = self.needs(&request);
            match groups.iter_mut().find(|(others, requests)| *others == needs && requests.len() < MOST_TASKS) {
                Some((_, requests)) => requests.push(request),
                None => groups.push((needs, vec![request])),
            }
        }
        for (needs, requests) in groups {
            let mut ids: Vec<usize> = requests.iter().map(|request| request.id).collect();
            if let Err(error) = self.submit(&needs, requests) {
                // Jobs of another run that were taken up go on.
                ids.retain(|&id| self.tracked.iter().all(|task| task.request.id != id));
                self.refuse(ids, format!("{error:#}"));
            }
        }
    }

    /// Submits `requests` as one array, without those that another run has submitted.
    fn submit(&mut self, needs: &Needs, requests: Vec<Request>) -> Result<()> {
        let batch = Batch::create(&self.store, &self.experiment)?;
        let index = self.batches.len();
        self.batches.push(Some(batch.clone()));
        let mut own = Vec::new();
        if let Err(error) = self.prepare(&batch, needs, requests, &mut own) {
            self.abandon(index, &own);
            return Err(error);
        }
        if own.is_empty() {
            self.abandon(index, &own);
            return Ok(());
        }
        match self.sbatch(&batch) {
            Ok(job) => {
                if let Err(error) = batch.write_submitted(job) {
                    self.warn(format!("job {job} is submitted, but its number could not be written down: {error:#}"));
                }
                self.tries = 0;
                for (task, request) in own.into_iter().enumerate() {
                    let job = format!("{job}_{task}");
                    self.tell(request.id, Message::Queued { job, adopted: false, log: batch.log(task) });
                    self.tracked.push(Tracked::new(request, index, task));
                }
                (self.pause, self.next_question) = (self.settings.poll, Instant::now() + self.settings.poll);
                self.next_look = Instant::now() + LOOK;
                Ok(())
            }
            Err(refusal) => {
                self.abandon(index, &own);
                if matches!(refusal, Refusal::NoAnswer(_)) && self.tries < MOST_TRIES {
                    // 2, 4, 8 … seconds.
                    self.tries += 1;
                    let pause = Duration::from_secs(1 << self.tries);
                    self.not_before = Instant::now() + pause;
                    self.waiting.extend(own);
                    self.silent(&refusal);
                    return Ok(());
                }
                let jobs = self.tracked.len();
                let others = match jobs {
                    0 => String::new(),
                    jobs => format!("; {jobs} jobs of this run are in the queue and go on"),
                };
                Err(anyhow!("Slurm refused the job: {}{others}", refusal.words()))
            }
        }
    }

    /// Writes the folder of `batch`. `own` becomes what it has to run; stages that another run has submitted are waited for.
    fn prepare(&mut self, batch: &Batch, needs: &Needs, requests: Vec<Request>, own: &mut Vec<Request>) -> Result<()> {
        let claims = self.claims.clone();
        for mut request in requests {
            request.job.threads = needs.threads;
            request.job.device = request.device.filter(|_| needs.gpu).unwrap_or_default();
            let task = own.len();
            match claims.take(request.key, batch, task, |owner| self.is_live(owner))? {
                Some(owner) => self.adopt(request, &owner),
                None => {
                    let Request { key, timeout, .. } = request;
                    let content = Task { key, job: request.job.clone(), timeout };
                    own.push(request);
                    batch.write_task(task, &content)?;
                }
            }
        }
        let worker = Worker {
            program: &self.program,
            scratch: self.settings.scratch.as_deref(),
            environment: vec![
                ("RAYON_NUM_THREADS", needs.threads.to_string()),
                ("GLIBC_TUNABLES", machine::allocator_tunables()),
            ],
        };
        let text = script(&batch.name(), batch.path(), own.len(), needs, &worker);
        std::fs::write(batch.script(), text).with_context(|| format!("cannot write {}", batch.script().display()))
    }

    /// Takes a batch back that was not submitted.
    fn abandon(&mut self, index: usize, own: &[Request]) {
        let Some(batch) = self.batches[index].take() else { return };
        for (task, request) in own.iter().enumerate() {
            self.claims.end(request.key, &Owner { batch: batch.name(), task });
        }
        batch.remove();
    }

    fn refuse(&self, stages: Vec<usize>, message: String) {
        let _ = self.reports.send(Notice::Refused { stages, message });
    }

    /// Calls `sbatch`. A call that got no answer may have been heard: then the batch's name is in the queue.
    fn sbatch(&mut self, batch: &Batch) -> Result<u64, Refusal> {
        match commands::submit(&batch.script()) {
            Err(refusal @ Refusal::NoAnswer(_)) => {
                self.ask(Instant::now());
                self.queue.job(&batch.name()).ok_or(refusal)
            }
            answer => answer,
        }
    }

    /// Waits for a task of another batch in place of a job of its own.
    fn adopt(&mut self, request: Request, owner: &Owner) {
        let batch = Batch::named(&self.store, &owner.batch);
        let index = match self.batches.iter().position(|known| known.as_ref() == Some(&batch)) {
            Some(index) => index,
            None => {
                self.batches.push(Some(batch));
                self.batches.len() - 1
            }
        };
        let job = self.batches[index].as_ref().and_then(Batch::submitted);
        let job = job.or_else(|| self.queue.job(&owner.batch)).map_or_else(String::new, |job| job.to_string());
        let log = Batch::named(&self.store, &owner.batch).log(owner.task);
        self.tell(request.id, Message::Queued { job: format!("{job}_{}", owner.task), adopted: true, log });
        self.tracked.push(Tracked::new(request, index, owner.task));
        self.next_look = Instant::now();
    }

    /// Whether a task of another batch waits, runs or has left an output.
    fn is_live(&mut self, owner: &Owner) -> bool {
        /// Older knowledge of the queue is no knowledge of a batch that was submitted since.
        const FRESH: Duration = Duration::from_secs(2);
        let batch = Batch::named(&self.store, &owner.batch);
        match batch.last_message(owner.task) {
            Some(Message::Finished { .. }) => return true,
            Some(_) => return false,
            None => {}
        }
        if !batch.path().exists() {
            return false;
        }
        if self.asked_at.is_none_or(|at| at.elapsed() > FRESH) {
            self.ask(Instant::now());
        }
        match self.queue.task(&owner.batch, owner.task).map(|entry| entry.state) {
            Some(State::Waiting | State::Running) => true,
            Some(State::Ended(_)) => false,
            // Before the controller has answered once, nothing is known of anybody's jobs.
            None if self.asked_at.is_none() => true,
            None => batch.submitted().is_none() && batch.is_being_submitted(),
        }
    }
}
