//! Submits stages as jobs and waits for them, in a thread of its own: a busy controller makes its commands wait.

use super::super::job::{Job, Message};
use super::super::log_tail::last_lines;
use super::super::notice::{Notice, Report};
use super::batch::{Batch, Task};
use super::claim::{Claims, Owner};
use super::commands::{self, Refusal};
use super::queue::{Queue, State};
use super::script::{Needs, Worker, script};
use super::settings::SlurmSettings;
use super::tracked::{Tracked, Verdict};
use crate::cache::{Key, Store};
use crate::events::ErrorClass;
use anyhow::{Context as _, Result, anyhow};
use matssl_base::device_name::DeviceName;
use matssl_base::machine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Maximum number of tasks of an array: Slurm's own default.
const MOST_TASKS: usize = 1000;
/// Time between two looks into the folders of few batches.
const LOOK: Duration = Duration::from_millis(300);
/// Longest time between two questions to the controller, if nothing changes.
const SELDOM: Duration = Duration::from_secs(60);
/// How often a stage is submitted again because a node failed or its job was taken.
const MOST_TAKEN: u32 = 20;
/// How often a submission is tried that the controller does not answer.
const MOST_TRIES: u32 = 6;

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

enum Command {
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

/// The thread's side.
struct Jobs {
    settings: SlurmSettings,
    program: PathBuf,
    experiment: String,
    store: Store,
    claims: Claims,
    reports: Sender<Notice>,
    /// Not submitted yet.
    waiting: Vec<Request>,
    /// Nothing is submitted before: the controller did not answer.
    not_before: Instant,
    tries: u32,
    /// `None`: all of its tasks have ended.
    batches: Vec<Option<Batch>>,
    tracked: Vec<Tracked>,
    queue: Queue,
    /// When the queue was read; `None`: never.
    asked_at: Option<Instant>,
    pause: Duration,
    next_question: Instant,
    next_look: Instant,
    /// Whether the user knows that the controller does not answer.
    is_silent: bool,
}

impl Jobs {
    fn go(mut self, commands: &Receiver<Command>) {
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

    fn tell(&self, id: usize, message: Message) {
        let _ = self.reports.send(Report::new(id, message).into());
    }

    fn warn(&self, message: String) {
        let _ = self.reports.send(Notice::Warning(message));
    }

    fn needs(&self, request: &Request) -> Needs {
        let settings = self.settings.of_kind(&request.job.kind);
        Needs {
            threads: request.threads.or(settings.threads).unwrap_or(1),
            memory_mib: request.memory.or(settings.memory).map(|bytes| bytes.div_ceil(1 << 20)),
            gpu: request.device.is_some() && settings.gpu.is_some(),
            settings,
        }
    }

    /// Submits everything that waits: stages that need the same together.
    fn submit_all(&mut self) {
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
            let ids: Vec<usize> = requests.iter().map(|request| request.id).collect();
            if let Err(error) = self.submit(&needs, requests) {
                self.refuse(ids, format!("{error:#}"));
            }
        }
    }

    fn refuse(&self, stages: Vec<usize>, message: String) {
        let _ = self.reports.send(Notice::Refused { stages, message });
    }

    /// Submits `requests` as one array, without those that another run has submitted.
    fn submit(&mut self, needs: &Needs, requests: Vec<Request>) -> Result<()> {
        let batch = Batch::create(&self.store, &self.experiment)?;
        let index = self.batches.len();
        self.batches.push(Some(batch.clone()));
        let mut own: Vec<Request> = Vec::new();
        for mut request in requests {
            request.job.threads = needs.threads;
            request.job.device = request.device.filter(|_| needs.gpu).unwrap_or_default();
            let claims = self.claims.clone();
            match claims.take(request.key, &batch, own.len(), |owner| self.is_live(owner))? {
                Some(owner) => self.adopt(request, &owner),
                None => {
                    let Request { key, timeout, .. } = request;
                    batch.write_task(own.len(), &Task { key, job: request.job.clone(), timeout })?;
                    own.push(request);
                }
            }
        }
        if own.is_empty() {
            self.batches[index] = None;
            batch.remove();
            return Ok(());
        }
        let worker = Worker {
            program: &self.program,
            scratch: self.settings.scratch.as_deref(),
            environment: vec![
                ("RAYON_NUM_THREADS", needs.threads.to_string()),
                ("GLIBC_TUNABLES", machine::allocator_tunables()),
            ],
        };
        std::fs::write(batch.script(), script(&batch.name(), batch.path(), own.len(), needs, &worker))?;
        match self.sbatch(&batch) {
            Ok(job) => {
                batch.write_submitted(job)?;
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
                for (task, request) in own.iter().enumerate() {
                    self.claims.end(request.key, &Owner { batch: batch.name(), task });
                }
                self.batches[index] = None;
                batch.remove();
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
    fn ask(&mut self, now: Instant) -> bool {
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

    fn silent(&mut self, refusal: &Refusal) {
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

    fn forward(&self, task: &mut Tracked) {
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

    /// Acts on what the queue says of tasks that have left no last message.
    fn judge(&mut self, now: Instant) {
        let visibility = self.settings.visibility;
        let mut rest = Vec::new();
        for mut task in std::mem::take(&mut self.tracked) {
            let Some(batch) = self.batches[task.batch].clone() else { continue };
            if task.awaited.is_some() {
                rest.push(task);
                continue;
            }
            let name = batch.name();
            let mut entry = self.queue.task(&name, task.task).cloned();
            let mut verdict = task.judge(entry.as_ref(), now, visibility);
            if verdict == Verdict::Lost && entry.is_none() {
                // The controller has forgotten it; the accounting may know more.
                let job = task.entry.as_ref().map(|entry| entry.job).or_else(|| batch.submitted());
                entry = job.and_then(commands::accounted).and_then(|queue| queue.task(&name, task.task).cloned());
                if entry.is_some() {
                    verdict = task.judge(entry.as_ref(), now, visibility);
                }
            }
            // Where no control group counts memory, Slurm says what it did in the job's log only.
            if matches!(verdict, Verdict::Lost | Verdict::Cancelled) && words_on_memory(&batch.log(task.task)).is_some()
            {
                verdict = Verdict::OutOfMemory;
            }
            match verdict {
                Verdict::Wait => rest.push(task),
                _ => self.end(task, &batch, verdict),
            }
        }
        self.tracked = rest;
        self.forget_ended_batches();
        self.submit_all();
    }

    /// Reports a task that ended without a last message, or submits its stage again.
    fn end(&mut self, task: Tracked, batch: &Batch, verdict: Verdict) {
        self.close(&task);
        let (id, job) = (task.request.id, task.name(batch.submitted()));
        let needs = self.needs(&task.request);
        let failed = |class, message| Message::Failed { class, message };
        // So that nobody waits for its last message, and `gc` keeps nothing for it.
        let over = failed(ErrorClass::Lost, format!("{job} ended without a result"));
        if let Err(error) = batch.end(task.task, &over) {
            self.warn(format!("{error:#}"));
        }
        match verdict {
            Verdict::Wait => {}
            Verdict::Withdrawn => drop(self.reports.send(Notice::Withdrawn(id))),
            Verdict::Again(why) if task.request.taken < MOST_TAKEN => {
                self.tell(id, Message::Requeued { why: format!("{job}: {why}") });
                self.waiting.push(Request { taken: task.request.taken + 1, ..task.request });
            }
            Verdict::Again(why) => {
                self.tell(id, failed(ErrorClass::Failed, format!("{job}: {why}, {MOST_TAKEN} times in a row")));
            }
            Verdict::WallTime => {
                let since = batch.facts().map(|facts| SystemTime::UNIX_EPOCH + Duration::from_secs(facts.made_at));
                let checkpoint = self.store.work(task.request.key).newest_checkpoint();
                if task.request.trains && checkpoint.zip(since).is_some_and(|(newest, since)| newest > since) {
                    self.tell(id, Message::Requeued { why: format!("{job}: its wall time was over") });
                    self.waiting.push(task.request);
                } else {
                    let message =
                        format!("{job} needed more than its wall time; raise `time` in the site file's [slurm]");
                    self.tell(id, failed(ErrorClass::TimedOut, message));
                }
            }
            Verdict::OutOfMemory => {
                let asked = needs.memory_mib.map_or("Slurm's default".to_owned(), |mib| format!("{mib} MiB"));
                let used = task.peak_mib.map(|mib| format!(", its worker used at least {mib} MiB")).unwrap_or_default();
                let words =
                    words_on_memory(&batch.log(task.task)).map(|words| format!(" ({words})")).unwrap_or_default();
                let message = format!(
                    "{job} was killed because memory ran out: it had asked for {asked}{used}{words}; set the stage's \
                     `memory = \"…\"`, or reduce batch_size or crop_size"
                );
                self.tell(id, failed(ErrorClass::OutOfMemory, message));
            }
            Verdict::Cancelled => {
                let message = format!("{job} was cancelled in Slurm, not by this run");
                self.tell(id, failed(ErrorClass::Failed, message));
            }
            Verdict::Lost => {
                self.tell(id, over);
            }
        }
    }

    /// Ends the claim of a task that is over.
    fn close(&self, task: &Tracked) {
        if let Some(batch) = &self.batches[task.batch] {
            self.claims.end(task.request.key, &Owner { batch: batch.name(), task: task.task });
        }
    }

    /// Removes batches of which all tasks have ended well and that nobody waits for. Others stay for their logs, until `gc`.
    fn forget_ended_batches(&mut self) {
        let live: BTreeSet<usize> = self.tracked.iter().map(|task| task.batch).collect();
        for (index, slot) in self.batches.iter_mut().enumerate().filter(|(index, _)| !live.contains(index)) {
            let _ = index;
            if let Some(batch) = slot.take()
                && batch.tasks().iter().all(|&task| matches!(batch.last_message(task), Some(Message::Finished { .. })))
            {
                batch.remove();
            }
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

/// What Slurm says in a job's log of memory that ran out.
fn words_on_memory(log: &Path) -> Option<String> {
    const WORDS: [&str; 3] = ["exceeded memory limit", "oom-kill event", "oom_kill event"];
    let line = last_lines(log).into_iter().rev().find(|line| WORDS.iter().any(|words| line.contains(words)))?;
    Some(line.rsplit("error: ").next().unwrap_or(&line).to_owned())
}

/// A request for tests.
#[cfg(test)]
pub(super) fn test_request(id: usize) -> Request {
    use crate::cache::Digest;
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
