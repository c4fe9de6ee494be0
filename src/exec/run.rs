//! One run: the scheduler's decisions carried out, until nothing is left to do.

use super::event_log::{Event, EventLog};
use super::job::{ErrorClass, Job, Message};
use super::local::{LocalExecutor, Report};
use super::scheduler::{self, Decision, Duty, Resources, Role, Scheduler};
use crate::cache::{Alive, Gate, Key, LastKeys, Record, Store};
use crate::experiment::Section;
use crate::machine;
use crate::nn::DeviceName;
use crate::plan::{Plan, ResolvedInput, State, material};
use crate::stage::{self, Places, StageError};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// At most so many workers at a time; all cores otherwise.
    pub jobs: Option<usize>,
    /// Go on with what does not rest on a failed stage.
    pub keep_going: bool,
    /// For each stage whether it is asked for; with a stage, all that it rests on must be.
    pub wanted: Vec<bool>,
    /// For each stage whether to run it again although it is cached.
    pub forced: Vec<bool>,
    /// What stages that train or predict compute on, one at a time each; none: on the CPU.
    pub gpus: Vec<DeviceName>,
    /// Trainings that are not cached write event files for TensorBoard to `EXPERIMENT/STAGE/` below this folder (absolute).
    pub tensorboard: Option<PathBuf>,
    /// The least time between a checkpoint and one inside an epoch.
    pub checkpoint_wait: Duration,
}

/// How a run ended.
pub struct Outcome {
    /// How each stage ended, by its index in the experiment.
    pub stages: Vec<StageOutcome>,
    /// Ended by Ctrl-C or SIGTERM.
    pub interrupted: bool,
    /// Workers that were started and finished.
    pub ran: usize,
    /// Wall time.
    pub seconds: f64,
    /// Until this is dropped, `gc` leaves what the run found and made.
    _held: (Option<Alive>, Option<Gate>),
}

/// How one stage ended.
pub enum StageOutcome {
    /// Its output is in the cache.
    Done(Box<Record>),
    /// It failed.
    Failed(Failure),
    /// It rests on a failed stage, was not asked for, or the run ended first.
    NotRun,
}

/// Why a stage failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub class: ErrorClass,
    /// What went wrong and what helps.
    pub message: String,
    /// The worker's own messages, if one was started.
    pub log: Option<PathBuf>,
}

/// How long workers have for a last checkpoint when a run is interrupted: what Slurm gives a job, too.
const GRACE: Duration = Duration::from_secs(30);

/// What signals ask of a run; looked at ten times a second.
#[derive(Debug, Default)]
pub struct Signals {
    /// How often somebody asked to stop: the first lets trainings write a last checkpoint, the second ends them at once.
    pub interrupts: AtomicUsize,
    /// Whether trainings shall write a checkpoint now.
    pub checkpoint: Arc<AtomicBool>,
}

impl Signals {
    fn interrupts(&self) -> usize {
        self.interrupts.load(Ordering::Relaxed)
    }
}

/// Carries the plan out, as far as `signals` let it. `observe` sees every event.
///
/// # Errors
/// If no folder can be made for this run. Failed stages are no error here: see [`Outcome`].
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
    forced: &'a [bool],
    scheduler: Scheduler,
    gpus: &'a [DeviceName],
    tensorboard: Option<PathBuf>,
    checkpoint_wait: Duration,
    outcomes: Vec<StageOutcome>,
    ran: usize,
    last_keys: LastKeys,
    /// Where logs go; none for a run that finds everything cached: it leaves no trace.
    folder: Option<PathBuf>,
    /// Held while what is found is not in the log yet.
    gate: Option<Gate>,
    alive: Option<Alive>,
    /// Given up when it cannot be written.
    log: Option<EventLog>,
    /// It has been said that last keys cannot be written.
    warned: bool,
    executor: LocalExecutor,
    reports: mpsc::Receiver<Report>,
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
        let Options { wanted, forced, .. } = options;
        let threads = machine::cores();
        let jobs = options.jobs.unwrap_or(threads);
        let resources = Resources { threads, jobs, gpus: options.gpus.len() };
        let (sender, reports) = mpsc::channel();
        let hit = |&i: &usize| wanted[i] && matches!(plan.states[i], State::Hit(_)) && !forced[i];
        let cached = (0..count).filter(hit).count();
        let mut run = Run {
            plan,
            store,
            places,
            forced,
            scheduler: Scheduler::new(plan.dag.clone(), wanted, duties(plan), resources, options.keep_going),
            gpus: &options.gpus,
            checkpoint_wait: options.checkpoint_wait,
            tensorboard: options.tensorboard.as_ref().map(|folder| folder.join(&plan.experiment.name)),
            outcomes: (0..count).map(|_| StageOutcome::NotRun).collect(),
            ran: 0,
            last_keys: LastKeys::open(store, &plan.experiment.name),
            folder: None,
            gate: None,
            alive: None,
            log: None,
            warned: false,
            executor: LocalExecutor::new(sender)?,
            reports,
            observe,
        };
        let stages = wanted.iter().filter(|wanted| **wanted).count();
        let first = Event::RunStarted { experiment: plan.experiment.name.clone(), stages, cached };
        if cached < stages {
            let folder = new_run_folder(store, &plan.experiment.name)?;
            run.alive = Alive::hold(&folder).ok();
            match EventLog::create(&folder) {
                Ok(log) => run.log = Some(log),
                Err(error) => run.warn(format!("no event log in {}: {error}", folder.display())),
            }
            run.folder = Some(folder);
        }
        run.emit(first);
        Ok(run)
    }

    fn name(&self, stage: usize) -> String {
        self.plan.experiment.instances[stage].name.clone()
    }

    fn emit(&mut self, event: Event) {
        let written = self.log.as_mut().map_or(Ok(()), |log| log.write(&event));
        (self.observe)(&event);
        if let Err(error) = written {
            self.log = None;
            self.warn(format!("the event log cannot be written and ends here: {error}"));
        }
    }

    /// For what the run can do without.
    fn warn(&mut self, message: String) {
        (self.observe)(&Event::Warning { message });
    }

    fn go(&mut self, signals: &Signals) {
        let mut changed = true;
        loop {
            if changed {
                self.decide();
                // With no log nothing else holds what was found.
                if self.log.is_some() {
                    self.gate = None;
                }
                if self.scheduler.is_over() {
                    return;
                }
            }
            let report = self.reports.recv_timeout(Duration::from_millis(100)).ok();
            // Looked at first: what has died of the same signal has not failed.
            if signals.interrupts() > 0 {
                return self.stop(signals, report);
            }
            if signals.checkpoint.swap(false, Ordering::Relaxed) {
                self.executor.ask_for_checkpoints();
            }
            changed = report.is_some_and(|report| self.take(report));
        }
    }

    /// Ends all workers, those that train after a last checkpoint. Whatever else it says, it asks them first.
    fn stop(&mut self, signals: &Signals, mut report: Option<Report>) {
        self.executor.ask_to_stop();
        if !self.executor.is_idle() {
            self.warn("interrupted: trainings write a last checkpoint; once more ends them at once".to_owned());
        }
        let since = Instant::now();
        loop {
            match report {
                // One that was about to finish has finished; one that stopped has not failed.
                Some(Report { id, message: Message::Failed { class: ErrorClass::Stopped, .. } }) => {
                    self.executor.ended(id)
                }
                Some(report) => drop(self.take(report)),
                None => {}
            }
            if self.executor.is_idle() || since.elapsed() >= GRACE || signals.interrupts() > 1 {
                break;
            }
            report = self.reports.recv_timeout(Duration::from_millis(100)).ok();
        }
        if !self.executor.is_idle() {
            self.warn("what is still in the midst of a step is ended without a last checkpoint".to_owned());
        }
        self.executor.stop_all();
    }

    /// Answers to lookups lead to further decisions without any waiting.
    fn decide(&mut self) {
        loop {
            let decisions = self.scheduler.decide();
            if decisions.is_empty() {
                return;
            }
            for decision in decisions {
                match decision {
                    Decision::Look(stage) => self.look(stage),
                    Decision::Start { stage, threads, gpu } => self.start(stage, threads, gpu),
                }
            }
        }
    }

    fn inputs_of(&self, stage: usize) -> Result<Vec<ResolvedInput>> {
        let instances = &self.plan.experiment.instances;
        let inputs = instances[stage].inputs.iter();
        inputs
            .map(|input| match &self.outcomes[input.instance] {
                StageOutcome::Done(record) => Ok(ResolvedInput::new(input, &instances[input.instance], record)),
                _ => anyhow::bail!("{} was looked up before {}", self.name(stage), self.name(input.instance)),
            })
            .collect()
    }

    /// Its inputs are finished: is its output there?
    fn look(&mut self, stage: usize) {
        if self.forced[stage] {
            self.scheduler.on(scheduler::Event::Miss(stage));
            return;
        }
        // Until a hit is in the log.
        let _gate = if self.gate.is_some() { None } else { Gate::shared(self.store).ok() };
        if let Some(record) = self.planned_hit(stage) {
            return self.hit(stage, record);
        }
        match self.material(stage) {
            Err(error) => self.fail(stage, ErrorClass::from(&error), error.to_string(), None),
            Ok(material) => match self.store.find(material.key()) {
                Some(record) => self.hit(stage, Box::new(record)),
                None => drop(self.scheduler.on(scheduler::Event::Miss(stage))),
            },
        }
    }

    /// The record that the plan found, if every input still is what the plan found.
    fn planned_hit(&self, stage: usize) -> Option<Box<Record>> {
        let State::Hit(record) = &self.plan.states[stage] else { return None };
        let mut inputs = self.plan.dag.inputs(stage);
        let unchanged = inputs.all(|input| match (&self.plan.states[input], &self.outcomes[input]) {
            (State::Hit(planned), StageOutcome::Done(now)) => planned.content == now.content,
            _ => false,
        });
        unchanged.then(|| record.clone())
    }

    fn material(&self, stage: usize) -> Result<crate::cache::KeyMaterial, StageError> {
        let instance = &self.plan.experiment.instances[stage];
        let inputs = self.inputs_of(stage)?;
        material(instance.kind, &instance.params, instance.seed, &inputs, self.store, self.places)
    }

    fn hit(&mut self, stage: usize, record: Box<Record>) {
        let event = Event::StageHit { stage: self.name(stage), key: record.key };
        self.outcomes[stage] = StageOutcome::Done(record);
        self.scheduler.on(scheduler::Event::Hit(stage));
        self.emit(event);
    }

    fn start(&mut self, stage: usize, threads: usize, gpu: Option<usize>) {
        match self.try_start(stage, threads, gpu) {
            Ok(key) => self.emit(Event::StageStarted { stage: self.name(stage), key, threads }),
            Err(error) => self.fail(stage, ErrorClass::from(&error), error.to_string(), None),
        }
    }

    fn try_start(&mut self, stage: usize, threads: usize, gpu: Option<usize>) -> Result<Key, StageError> {
        let instance = &self.plan.experiment.instances[stage];
        let key = self.material(stage)?.key();
        let job = Job {
            experiment: self.plan.experiment.name.clone(),
            stage: instance.name.clone(),
            kind: instance.kind.to_owned(),
            params: instance.params.clone(),
            seed: instance.seed,
            inputs: self.inputs_of(stage)?,
            places: self.places.clone(),
            cache: self.store.root().to_owned(),
            force: self.forced[stage],
            device: gpu.map_or(DeviceName::Cpu, |gpu| self.gpus[gpu]),
            checkpoint_wait: self.checkpoint_wait,
            tensorboard: self.tensorboard.as_ref().map(|folder| folder.join(&instance.name)),
            threads,
        };
        self.executor.start(stage, &job, &self.log_of(stage))?;
        Ok(key)
    }

    fn log_of(&self, stage: usize) -> PathBuf {
        let folder = self.folder.as_deref().unwrap_or(Path::new("."));
        folder.join(format!("{}.log", self.name(stage)))
    }

    /// A worker said something. True if it has ended.
    fn take(&mut self, Report { id: stage, message }: Report) -> bool {
        match message {
            Message::Finished { key, ran, seconds } => {
                self.executor.ended(stage);
                match self.store.find(key) {
                    Some(record) => {
                        self.ran += usize::from(ran);
                        self.outcomes[stage] = StageOutcome::Done(Box::new(record));
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
                self.executor.ended(stage);
                self.fail(stage, class, message, Some(self.log_of(stage)));
                true
            }
            other => {
                if let Some(event) = Event::of(&self.name(stage), other) {
                    self.emit(event);
                }
                false
            }
        }
    }

    fn fail(&mut self, stage: usize, class: ErrorClass, message: String, log: Option<PathBuf>) {
        let skipped = self.scheduler.on(scheduler::Event::Failed(stage));
        let shown = log.as_ref().map_or_else(String::new, |log| log.display().to_string());
        self.emit(Event::StageFailed { stage: self.name(stage), class, message: message.clone(), log: shown });
        self.outcomes[stage] = StageOutcome::Failed(Failure { class, message, log });
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
            self.warn(format!("`explain` will not know of this run: {error:#}"));
        }
    }

    fn finish(mut self, started: Instant, interrupted: bool) -> Outcome {
        let done: Vec<_> = (0..self.outcomes.len())
            .filter_map(|stage| match &self.outcomes[stage] {
                StageOutcome::Done(record) => Some((stage, record.key)),
                _ => None,
            })
            .collect();
        self.remember(done);
        let failed = self.outcomes.iter().filter(|outcome| matches!(outcome, StageOutcome::Failed(_))).count();
        let (ran, seconds) = (self.ran, started.elapsed().as_secs_f64());
        self.emit(Event::RunFinished { ran, failed, interrupted, seconds });
        Outcome { stages: self.outcomes, interrupted, ran, seconds, _held: (self.alive, self.gate) }
    }
}

/// Data sets are checked before any training starts.
fn duties(plan: &Plan) -> Vec<Duty> {
    let duty = |kind: &str| {
        let kind = stage::kind(kind);
        let role = match kind {
            Some(kind) if kind.spec.section == Section::Datasets => Role::Check,
            Some(kind) if kind.trains => Role::Training,
            _ => Role::Other,
        };
        Duty { role, computes: kind.is_some_and(|kind| kind.computes) }
    };
    plan.experiment.instances.iter().map(|instance| duty(instance.kind)).collect()
}

/// `runs/<seconds since 1970>-<experiment>-<pid>/`.
fn new_run_folder(store: &Store, experiment: &str) -> Result<PathBuf> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let folder = store.root().join("runs").join(format!("{now}-{experiment}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
