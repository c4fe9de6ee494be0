//! One run: the scheduler's decisions carried out, until nothing is left to do.

use super::event_log::{Event, EventLog};
use super::job::{ErrorClass, Job, Message};
use super::local::{LocalExecutor, Report};
use super::machine;
use super::scheduler::{self, Decision, Scheduler};
use crate::cache::{Key, LastKeys, Record, Store};
use crate::plan::{Plan, ResolvedInput, State, material};
use crate::stage::{Places, StageError};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// At most so many workers at a time; all cores otherwise.
    pub jobs: Option<usize>,
    /// Go on with what does not rest on a failed stage.
    pub keep_going: bool,
    /// Only these stages (indices) and what they rest on; all if empty.
    pub only: Vec<usize>,
    /// Run these again although they are cached.
    pub force: Vec<usize>,
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

/// Carries the plan out. `interrupted` is looked at ten times a second; `observe` sees every event.
///
/// # Errors
/// If the cache cannot be written or no worker can be started. Failed stages are no error here: see [`Outcome`].
pub fn run(
    plan: &Plan,
    store: &Store,
    places: &Places,
    options: &Options,
    interrupted: &AtomicBool,
    observe: &mut dyn FnMut(&Event),
) -> Result<Outcome> {
    let started = Instant::now();
    let mut run = Run::new(plan, store, places, options, observe)?;
    run.go(interrupted)?;
    run.finish(started, interrupted.load(Ordering::Relaxed))
}

struct Run<'a> {
    plan: &'a Plan,
    store: &'a Store,
    places: &'a Places,
    force: Vec<usize>,
    scheduler: Scheduler,
    outcomes: Vec<StageOutcome>,
    ran: usize,
    last_keys: LastKeys,
    /// Made with the first worker: a run that finds everything cached leaves no trace.
    log: Option<(PathBuf, EventLog)>,
    executor: LocalExecutor,
    reports: mpsc::Receiver<Report>,
    observe: &'a mut dyn FnMut(&Event),
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        store: &'a Store,
        places: &'a Places,
        options: &Options,
        observe: &'a mut dyn FnMut(&Event),
    ) -> Result<Self> {
        let count = plan.states.len();
        let wanted = match options.only.as_slice() {
            [] => vec![true; count],
            only => plan.dag.with_ancestors(only),
        };
        let threads = machine::cores();
        let jobs = options.jobs.unwrap_or(threads);
        let (sender, reports) = mpsc::channel();
        let hit = |&i: &usize| wanted[i] && matches!(plan.states[i], State::Hit(_)) && !options.force.contains(&i);
        let cached = (0..count).filter(hit).count();
        let mut run = Run {
            plan,
            store,
            places,
            force: options.force.clone(),
            scheduler: Scheduler::new(plan.dag.clone(), &wanted, threads, jobs, options.keep_going),
            outcomes: (0..count).map(|_| StageOutcome::NotRun).collect(),
            ran: 0,
            last_keys: LastKeys::open(store, &plan.experiment.name),
            log: None,
            executor: LocalExecutor::new(sender)?,
            reports,
            observe,
        };
        let stages = wanted.iter().filter(|wanted| **wanted).count();
        let first = Event::RunStarted { experiment: plan.experiment.name.clone(), stages, cached };
        if cached < stages {
            let folder = new_run_folder(store, &plan.experiment.name)?;
            run.log = Some((folder.clone(), EventLog::create(&folder)?));
        }
        run.emit(first)?;
        Ok(run)
    }

    fn name(&self, stage: usize) -> String {
        self.plan.experiment.instances[stage].name.clone()
    }

    fn emit(&mut self, event: Event) -> Result<()> {
        if let Some((folder, log)) = &mut self.log {
            log.write(&event).with_context(|| format!("cannot write the event log in {}", folder.display()))?;
        }
        (self.observe)(&event);
        Ok(())
    }

    fn go(&mut self, interrupted: &AtomicBool) -> Result<()> {
        loop {
            // Answers to lookups lead to further decisions without any waiting.
            loop {
                let decisions = self.scheduler.decide();
                if decisions.is_empty() {
                    break;
                }
                for decision in decisions {
                    match decision {
                        Decision::Look(stage) => self.look(stage)?,
                        Decision::Start { stage, threads } => self.start(stage, threads)?,
                    }
                }
            }
            if self.scheduler.is_over() {
                return Ok(());
            }
            match self.reports.recv_timeout(Duration::from_millis(100)) {
                Ok(report) => self.take(report)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if interrupted.load(Ordering::Relaxed) {
                self.executor.stop_all();
                return Ok(());
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
    fn look(&mut self, stage: usize) -> Result<()> {
        let forced = self.force.contains(&stage);
        if let (State::Hit(record), false) = (&self.plan.states[stage], forced) {
            // Planned as a hit, so its inputs were hits too and nothing has changed since.
            let inputs_ran =
                self.plan.dag.inputs(stage).any(|input| self.scheduler.states()[input] == scheduler::State::Done(true));
            if !inputs_ran {
                return self.hit(stage, record.clone());
            }
        }
        match self.material(stage) {
            Err(error) => self.fail(stage, ErrorClass::from(&error), error.to_string(), None),
            Ok(material) => {
                let key = material.key();
                if forced {
                    self.store.forget(key)?;
                }
                match self.store.find(key) {
                    Some(record) => self.hit(stage, Box::new(record)),
                    None => {
                        self.scheduler.on(scheduler::Event::Miss(stage));
                        Ok(())
                    }
                }
            }
        }
    }

    fn material(&self, stage: usize) -> Result<crate::cache::KeyMaterial, StageError> {
        let instance = &self.plan.experiment.instances[stage];
        let inputs = self.inputs_of(stage)?;
        material(instance.kind, &instance.params, instance.seed, &inputs, self.store, self.places)
    }

    fn hit(&mut self, stage: usize, record: Box<Record>) -> Result<()> {
        let event = Event::StageHit { stage: self.name(stage), key: record.key };
        self.outcomes[stage] = StageOutcome::Done(record);
        self.scheduler.on(scheduler::Event::Hit(stage));
        self.emit(event)
    }

    fn start(&mut self, stage: usize, threads: usize) -> Result<()> {
        let instance = &self.plan.experiment.instances[stage];
        let key = match self.material(stage) {
            Ok(material) => material.key(),
            Err(error) => return self.fail(stage, ErrorClass::from(&error), error.to_string(), None),
        };
        let job = Job {
            experiment: self.plan.experiment.name.clone(),
            stage: instance.name.clone(),
            kind: instance.kind.to_owned(),
            params: instance.params.clone(),
            seed: instance.seed,
            inputs: self.inputs_of(stage)?,
            places: self.places.clone(),
            cache: self.store.root().to_owned(),
            threads,
        };
        let log = self.log_of(stage);
        self.executor.start(stage, &job, &log)?;
        self.emit(Event::StageStarted { stage: job.stage, key, threads })
    }

    fn log_of(&self, stage: usize) -> PathBuf {
        let folder = self.log.as_ref().map_or(Path::new("."), |(folder, _)| folder);
        folder.join(format!("{}.log", self.name(stage)))
    }

    /// A worker said something.
    fn take(&mut self, Report { id: stage, message }: Report) -> Result<()> {
        match message {
            Message::Finished { key, ran, seconds } => {
                self.executor.ended(stage);
                match self.store.find(key) {
                    Some(record) => {
                        self.ran += usize::from(ran);
                        self.outcomes[stage] = StageOutcome::Done(Box::new(record));
                        self.scheduler.on(scheduler::Event::Finished(stage));
                        self.remember([(stage, key)])?;
                        self.emit(Event::StageFinished { stage: self.name(stage), key, seconds })
                    }
                    None => {
                        let message = "the worker reported success but its record cannot be read".to_owned();
                        self.fail(stage, ErrorClass::Failed, message, Some(self.log_of(stage)))
                    }
                }
            }
            Message::Failed { class, message } => {
                self.executor.ended(stage);
                self.fail(stage, class, message, Some(self.log_of(stage)))
            }
            other => match Event::of(&self.name(stage), other) {
                Some(event) => self.emit(event),
                None => Ok(()),
            },
        }
    }

    fn fail(&mut self, stage: usize, class: ErrorClass, message: String, log: Option<PathBuf>) -> Result<()> {
        self.scheduler.on(scheduler::Event::Failed(stage));
        let shown = log.as_ref().map_or_else(String::new, |log| log.display().to_string());
        self.emit(Event::StageFailed { stage: self.name(stage), class, message: message.clone(), log: shown })?;
        self.outcomes[stage] = StageOutcome::Failed(Failure { class, message, log });
        for other in 0..self.outcomes.len() {
            if self.scheduler.states()[other] == scheduler::State::Skipped(stage) {
                self.emit(Event::StageSkipped { stage: self.name(other), because_of: self.name(stage) })?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, stages: impl IntoIterator<Item = (usize, Key)>) -> Result<()> {
        let instances = &self.plan.experiment.instances;
        self.last_keys.set(stages.into_iter().map(|(stage, key)| (instances[stage].name.clone(), key)))
    }

    fn finish(mut self, started: Instant, interrupted: bool) -> Result<Outcome> {
        let done: Vec<_> = (0..self.outcomes.len())
            .filter_map(|stage| match &self.outcomes[stage] {
                StageOutcome::Done(record) => Some((stage, record.key)),
                _ => None,
            })
            .collect();
        self.remember(done)?;
        let failed = self.outcomes.iter().filter(|outcome| matches!(outcome, StageOutcome::Failed(_))).count();
        let (ran, seconds) = (self.ran, started.elapsed().as_secs_f64());
        self.emit(Event::RunFinished { ran, failed, interrupted, seconds })?;
        Ok(Outcome { stages: self.outcomes, interrupted, ran, seconds })
    }
}

/// `runs/<seconds since 1970>-<experiment>-<pid>/`.
fn new_run_folder(store: &Store, experiment: &str) -> Result<PathBuf> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let folder = store.root().join("runs").join(format!("{now}-{experiment}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
