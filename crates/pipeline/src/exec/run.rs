//! One run: carries out the scheduler's decisions until no work is left.

mod jobs;
mod lookup;
mod refuse;

use super::cached_run::remember_hits;
use super::deadlines::{Deadlines, Overdue};
use super::gpu_locks::GpuLocks;
use super::job::Message;
use super::job_of_stage::job_of;
use super::local::LocalExecutor;
use super::log_tail::last_lines;
use super::notice::{Notice, Report};
use super::outcome::{Failure, Options, Outcome, Signals, StageOutcome};
use super::remote_lookups::RemoteLookups;
use super::requirements::requirements;
use super::run_folder::RunFolder;
use super::scheduler::{self, Decision, Resources, Scheduler};
use super::slurm::SlurmExecutor;
use crate::cache::{Gate, Key, KeyMaterial, LastKeys, Record, Store};
use crate::events::{ErrorClass, Event, EventLog};
use crate::experiment::Instance;
use crate::plan::{CacheState, Plan};
use crate::stage::{Places, StageError};
use anyhow::Result;
use matssl_base::device_name::DeviceName;
use matssl_base::machine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Time for last checkpoints when a run is interrupted; Slurm gives a job the same.
const GRACE: Duration = Duration::from_secs(30);
/// Number of further attempts after a stage's process was lost, unless it sets `retries`.
const RETRIES_IF_LOST: u32 = 1;

/// Runs the plan until it is finished or `signals` stop it. `observe` receives every event.
///
/// # Errors
/// If the run's folder cannot be created. Failed stages are no error here: see [`Outcome`].
pub fn run(
    plan: &Plan,
    store: &Store,
    places: &Places,
    options: &Options,
    signals: &Signals,
    gate: Option<Gate>,
    observe: &mut dyn FnMut(&Event),
) -> Result<Outcome> {
    let started = Instant::now();
    let mut run = Run::new(plan, store, places, options, observe)?;
    run.gate = gate;
    run.go(signals);
    Ok(run.finish(started, signals.interrupts() > 0))
}

struct Run<'a> {
    plan: &'a Plan,
    store: &'a Store,
    places: &'a Places,
    options: &'a Options,
    scheduler: Scheduler,
    outcomes: Vec<StageOutcome>,
    /// Key material of each stage that was looked up and not found.
    materials: Vec<Option<KeyMaterial>>,
    /// Record of each computed stage that is not written yet, or could not be: stages that already read it may
    /// continue.
    computed: Vec<Option<Arc<Record>>>,
    /// Number of starts of each stage.
    attempts: Vec<u32>,
    deadlines: Deadlines,
    gpu_locks: GpuLocks,
    ran: usize,
    last_keys: LastKeys,
    /// Folder for logs; `None` if everything is cached: such a run writes no files.
    folder: Option<RunFolder>,
    /// Held while hits are not in the log yet.
    gate: Option<Gate>,
    /// Dropped when it cannot be written.
    log: Option<EventLog>,
    /// Whether the warning about last keys was shown.
    warned: bool,
    /// Whether the stages were asked what they foresee.
    foreseen: bool,
    executor: LocalExecutor,
    /// Runs stages as jobs, if the run uses Slurm and has a stage to submit.
    slurm: Option<SlurmExecutor>,
    /// Stages whose jobs have not ended.
    submitted: BTreeSet<usize>,
    /// Logs of jobs.
    job_logs: BTreeMap<usize, PathBuf>,
    /// Whether jobs that have not begun were taken back.
    withdrew: bool,
    remote_lookups: RemoteLookups,
    /// Cloned for each sender of notices.
    sender: mpsc::Sender<Notice>,
    notices: mpsc::Receiver<Notice>,
    observe: &'a mut dyn FnMut(&Event),
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        store: &'a Store,
        places: &'a Places,
        options: &'a Options,
        observe: &'a mut dyn FnMut(&Event),
    ) -> Result<Self> {
        let count = plan.states.len();
        let Options { wanted, forced, gpus, .. } = options;
        let threads = machine::cores();
        let jobs = options.jobs.unwrap_or(threads);
        let submitted = options.slurm.as_ref().map_or(0, |slurm| slurm.settings.max_jobs);
        let resources = Resources { threads, jobs, gpus: gpus.len(), memory: options.memory, submitted };
        let hit = |&i: &usize| wanted[i] && matches!(plan.states[i], CacheState::Hit(_)) && !forced[i];
        let cached = (0..count).filter(hit).count();
        let stages = wanted.iter().filter(|wanted| **wanted).count();
        let folder = match cached < stages {
            true => Some(RunFolder::create(store, &plan.experiment.name)?),
            false => None,
        };
        let (sender, notices) = mpsc::channel();
        let name = folder.as_ref().map_or_else(|| "cached".to_owned(), RunFolder::name);
        let requirements = requirements(plan, options);
        // A sender is for one thread at a time.
        let sender_lock = Mutex::new(sender.clone());
        let freed = Arc::new(move |gpu| {
            let _ = sender_lock.lock().unwrap_or_else(PoisonError::into_inner).send(Notice::GpuFree(gpu));
        });
        let mut run = Run {
            plan,
            store,
            places,
            options,
            scheduler: Scheduler::new(plan.dag.clone(), wanted, requirements, resources, options.keep_going),
            outcomes: (0..count).map(|_| StageOutcome::NotRun).collect(),
            materials: vec![None; count],
            computed: vec![None; count],
            attempts: vec![0; count],
            deadlines: Deadlines::default(),
            gpu_locks: GpuLocks::new(gpus, freed),
            ran: 0,
            last_keys: LastKeys::open(store, &plan.experiment.name),
            folder,
            gate: None,
            log: None,
            warned: false,
            foreseen: false,
            remote_lookups: RemoteLookups::new(store, sender.clone()),
            executor: LocalExecutor::new(options.program, &name, store, sender.clone())?,
            slurm: None,
            submitted: BTreeSet::new(),
            job_logs: BTreeMap::new(),
            withdrew: false,
            sender,
            notices,
            observe,
        };
        if let Some(folder) = &run.folder {
            match EventLog::create(folder.path()) {
                Ok(log) => run.log = Some(log),
                Err(error) => {
                    let message = format!("cannot create an event log in {}: {error}", folder.path().display());
                    run.warn(message);
                }
            }
        }
        let jobs = jobs + submitted;
        run.emit(Event::RunStarted { experiment: plan.experiment.name.clone(), stages, cached, jobs });
        Ok(run)
    }

    fn instance(&self, stage: usize) -> &'a Instance {
        &self.plan.experiment.instances[stage]
    }

    fn name(&self, stage: usize) -> String {
        self.instance(stage).name.clone()
    }

    fn emit(&mut self, event: Event) {
        let written = self.log.as_mut().map_or(Ok(()), |log| log.write(&event));
        (self.observe)(&event);
        if let Err(error) = written {
            self.log = None;
            self.warn(format!("the event log cannot be written and ends here: {error}"));
        }
    }

    /// Warns of a problem that does not stop the run.
    fn warn(&mut self, message: String) {
        (self.observe)(&Event::Warning { message });
    }

    fn go(&mut self, signals: &Signals) {
        let notices = self.sender.clone();
        signals.on_wake(move || drop(notices.send(Notice::Signal)));
        // A signal that came before that woke nobody.
        let _ = self.sender.send(Notice::Signal);
        let mut changed = true;
        loop {
            if changed {
                self.decide();
                // Without a log, only the gate protects the hits from `gc`.
                if self.log.is_some() {
                    self.gate = None;
                }
                if self.scheduler.is_over() {
                    return;
                }
            }
            let notice = self.wait();
            // Before anything else: a stage ended by the same signal has not failed.
            if signals.interrupts() > 0 {
                return self.stop(signals, notice);
            }
            if signals.checkpoint.swap(false, Ordering::Relaxed) {
                self.executor.ask_for_checkpoints();
            }
            changed = match notice {
                Some(Notice::Stage(report)) => self.take(report),
                Some(Notice::Looked(looked)) => {
                    self.looked(looked);
                    true
                }
                Some(Notice::Fetching(stage)) => {
                    self.scheduler.on(scheduler::Event::Fetching(stage));
                    true
                }
                Some(Notice::GpuFree(gpu)) => {
                    self.scheduler.on(scheduler::Event::GpuFree(gpu));
                    true
                }
                Some(Notice::Withdrawn(stage)) => self.withdrawn(stage),
                Some(Notice::Refused { stages, message }) => self.refused(&stages, message),
                Some(Notice::Warning(message)) => {
                    self.warn(message);
                    false
                }
                Some(Notice::Signal) | None => false,
            };
            self.enforce_deadlines();
        }
    }

    /// The next notice; `None` if a deadline comes first.
    fn wait(&self) -> Option<Notice> {
        match self.deadlines.next() {
            Some(next) => self.notices.recv_timeout(next.saturating_duration_since(Instant::now())).ok(),
            None => self.notices.recv().ok(),
        }
    }

    fn enforce_deadlines(&mut self) {
        for overdue in self.deadlines.overdue(Instant::now()) {
            match overdue {
                Overdue::Ask(stage) => self.executor.ask_to_stop(stage),
                Overdue::Kill(stage) => self.executor.kill(stage),
            }
        }
    }

    /// Ends all workers; trainings write a last checkpoint first.
    fn stop(&mut self, signals: &Signals, mut notice: Option<Notice>) {
        self.executor.ask_all_to_stop();
        self.leave_jobs(signals);
        if !self.executor.is_idle() {
            self.warn("interrupted: trainings write a last checkpoint; interrupt again to end them at once".to_owned());
        }
        let end = Instant::now() + GRACE;
        loop {
            match notice {
                // A stage that was stopped has not failed, whatever its message says.
                Some(Notice::Stage(Report { id, message: Message::Failed { .. }, .. })) => self.executor.ended(id),
                // The stage finished before the signal reached it.
                Some(Notice::Stage(report)) => drop(self.take(report)),
                Some(Notice::Warning(message)) => self.warn(message),
                Some(
                    Notice::Signal
                    | Notice::GpuFree(_)
                    | Notice::Withdrawn(_)
                    | Notice::Refused { .. }
                    | Notice::Looked(_)
                    | Notice::Fetching(_),
                )
                | None => {}
            }
            if self.executor.is_idle() || Instant::now() >= end || signals.interrupts() > 1 {
                break;
            }
            notice = self.notices.recv_timeout(end.saturating_duration_since(Instant::now())).ok();
        }
        if !self.executor.is_idle() {
            self.warn("stages that are still running are ended without a last checkpoint".to_owned());
        }
        self.executor.stop_all();
    }

    /// Carries out decisions until there are none: lookups can lead to further decisions at once.
    fn decide(&mut self) {
        loop {
            if !self.foreseen && self.scheduler.is_checked() {
                self.foreseen = true;
                self.refuse_what_must_fail();
            }
            let decisions = self.scheduler.decide();
            if decisions.is_empty() {
                return self.flush_jobs();
            }
            for decision in decisions {
                match decision {
                    Decision::Look(stage) => self.look(stage),
                    Decision::Start { stage, threads, gpu } => self.start(stage, threads, gpu),
                    Decision::Submit(stage) => self.submit(stage),
                }
            }
        }
    }

    fn start(&mut self, stage: usize, threads: usize, gpu: Option<usize>) {
        match gpu.map_or(Ok(true), |gpu| self.gpu_locks.take(stage, gpu)) {
            Ok(true) => {}
            Ok(false) => {
                self.scheduler.on(scheduler::Event::GpuTaken(stage));
                let device = gpu.map(|gpu| self.options.gpus[gpu].name.to_string()).unwrap_or_default();
                return self.emit(Event::GpuWaits { stage: self.name(stage), device });
            }
            Err(error) => return self.fail(stage, ErrorClass::Failed, format!("{error:#}"), None),
        }
        match self.try_start(stage, threads, gpu) {
            Ok(key) => {
                self.attempts[stage] += 1;
                self.deadlines.start(stage, self.instance(stage).limits.timeout, Instant::now());
                let device = gpu.map(|gpu| self.options.gpus[gpu].name.to_string());
                self.emit(Event::StageStarted { stage: self.name(stage), key, threads, device });
            }
            Err(error) => self.fail(stage, ErrorClass::from(&error), error.to_string(), None),
        }
    }

    fn try_start(&mut self, stage: usize, threads: usize, gpu: Option<usize>) -> Result<Key, StageError> {
        let instance = self.instance(stage);
        let material = match &self.materials[stage] {
            Some(material) => material.clone(),
            None => self.material(stage)?,
        };
        let key = material.key();
        let device = gpu.map_or(DeviceName::Cpu, |gpu| self.options.gpus[gpu].name);
        let inputs = self.inputs_of(stage)?;
        let job = job_of(self.plan, stage, inputs, self.store, self.places, self.options, device, threads);
        let records = instance.kind.spawns.then(|| {
            let inputs: BTreeSet<usize> = instance.inputs.iter().map(|input| input.instance).collect();
            inputs.into_iter().filter_map(|input| self.record(input).cloned()).collect()
        });
        self.executor.start(stage, &instance.stage, job, material, records, &self.log_of(stage))?;
        Ok(key)
    }

    fn log_of(&self, stage: usize) -> PathBuf {
        if let Some(log) = self.job_logs.get(&stage) {
            return log.clone();
        }
        let folder = self.folder.as_ref().map_or(Path::new("."), RunFolder::path);
        folder.join(format!("{}.log", self.name(stage)))
    }

    /// Handles a message of a stage. True if another stage may be able to start.
    fn take(&mut self, Report { id: stage, message, record }: Report) -> bool {
        match message {
            Message::Made => {
                self.computed[stage] = record;
                self.deadlines.end(stage);
                self.gpu_locks.release(stage);
                self.scheduler.on(scheduler::Event::Computed(stage));
                true
            }
            Message::Finished { key, ran, seconds } => {
                self.ended(stage);
                match record.or_else(|| self.store.find(key).map(Arc::new)) {
                    Some(record) => {
                        self.ran += usize::from(ran);
                        (self.materials[stage], self.computed[stage]) = (None, None);
                        self.outcomes[stage] = StageOutcome::Done(record);
                        self.scheduler.on(scheduler::Event::Finished(stage));
                        self.remember([(stage, key)]);
                        self.emit(Event::StageFinished { stage: self.name(stage), key, seconds });
                    }
                    None => {
                        let message = "the worker reported success but its record cannot be read".to_owned();
                        self.fail(stage, ErrorClass::Failed, message, Some(self.log_of(stage)));
                    }
                }
                true
            }
            Message::Failed { class, message } => {
                let (class, message) = match self.ended(stage) {
                    Some(limit) => {
                        let limit = limit.as_secs_f64();
                        (ErrorClass::TimedOut, format!("took longer than its `timeout` of {limit} s and was ended"))
                    }
                    None => (class, message),
                };
                if self.is_retried(stage, class) {
                    let attempt = self.attempts[stage] + 1;
                    self.emit(Event::StageRetried { stage: self.name(stage), attempt, class, message });
                    self.scheduler.on(scheduler::Event::Again(stage));
                } else {
                    self.fail(stage, class, message, Some(self.log_of(stage)));
                }
                true
            }
            other => {
                match &other {
                    Message::Queued { log, .. } => drop(self.job_logs.insert(stage, log.clone())),
                    Message::WaitsForOther => self.deadlines.pause(stage),
                    Message::Begins => {
                        self.deadlines.start(stage, self.instance(stage).limits.timeout, Instant::now());
                    }
                    _ => {}
                }
                if let Some(event) = other.into_event(&self.name(stage)) {
                    self.emit(event);
                }
                false
            }
        }
    }

    /// Cleans up after a stage that has ended. Returns its timeout if that ended it.
    fn ended(&mut self, stage: usize) -> Option<Duration> {
        self.submitted.remove(&stage);
        self.executor.ended(stage);
        self.gpu_locks.release(stage);
        self.deadlines.end(stage)
    }

    /// Whether to retry, by cause: bad data, a wrong experiment or lack of memory would fail again.
    fn is_retried(&self, stage: usize, class: ErrorClass) -> bool {
        let said = self.instance(stage).limits.retries;
        let retries = match class {
            ErrorClass::Lost => said.unwrap_or(RETRIES_IF_LOST),
            ErrorClass::Failed | ErrorClass::TimedOut => said.unwrap_or(0),
            ErrorClass::NotThere | ErrorClass::BadData | ErrorClass::OutOfMemory | ErrorClass::Stopped => 0,
        };
        self.attempts[stage] <= retries
    }

    fn fail(&mut self, stage: usize, class: ErrorClass, message: String, log: Option<PathBuf>) {
        self.gpu_locks.release(stage);
        let skipped = self.scheduler.on(scheduler::Event::Failed(stage));
        let key = self.materials[stage].as_ref().map(KeyMaterial::key);
        let log = log.filter(|log| std::fs::metadata(log).is_ok_and(|log| log.len() > 0));
        let event = Event::StageFailed {
            stage: self.name(stage),
            class,
            message: message.clone(),
            key,
            log: log.as_ref().map(|log| log.display().to_string()),
            last_lines: log.as_deref().map(last_lines).unwrap_or_default(),
        };
        self.emit(event);
        self.outcomes[stage] = StageOutcome::Failed(Failure { class, message, key, log });
        for other in skipped {
            self.emit(Event::StageSkipped { stage: self.name(other), because_of: self.name(stage) });
        }
    }

    fn remember(&mut self, stages: impl IntoIterator<Item = (usize, Key)>) {
        let instances = &self.plan.experiment.instances;
        let named = stages.into_iter().map(|(stage, key)| (instances[stage].name.clone(), key));
        if let Err(error) = self.last_keys.set(named)
            && !std::mem::replace(&mut self.warned, true)
        {
            self.warn(format!("cannot save this run's keys for `explain`: {error:#}"));
        }
    }

    fn finish(mut self, started: Instant, interrupted: bool) -> Outcome {
        if let Some(mut slurm) = self.slurm.take() {
            slurm.end(false);
        }
        let done: Vec<_> = (0..self.outcomes.len())
            .filter_map(|stage| match &self.outcomes[stage] {
                StageOutcome::Done(record) => Some((stage, record.key)),
                _ => None,
            })
            .collect();
        self.remember(done);
        remember_hits(self.plan, self.store, &self.outcomes);
        let failed = self.outcomes.iter().filter(|outcome| matches!(outcome, StageOutcome::Failed(_))).count();
        let (ran, seconds) = (self.ran, started.elapsed().as_secs_f64());
        self.emit(Event::RunFinished { ran, failed, interrupted, seconds });
        Outcome { stages: self.outcomes, interrupted, ran, seconds, _held: (self.folder, self.gate) }
    }
}
