//! How to run, and how a run ended.

use super::program::Program;
use super::run_folder::RunFolder;
use crate::cache::{Gate, Key, Record};
use crate::events::ErrorClass;
use crate::plan::Plan;
use matssl_base::device_name::DeviceName;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that the stages belong to.
    pub program: &'static Program,
    /// At most so many stages at a time; all cores otherwise.
    pub jobs: Option<usize>,
    /// Go on with what does not rest on a failed stage.
    pub keep_going: bool,
    /// For each stage whether it is asked for; with a stage, all that it rests on must be.
    pub wanted: Vec<bool>,
    /// For each stage whether to run it again although it is cached.
    pub forced: Vec<bool>,
    /// What is known beforehand of each stage.
    pub expected: Vec<Expectation>,
    /// Bytes of memory that stages may be expected to need together.
    pub memory: Option<u64>,
    /// What stages that train or predict compute on, one at a time each; none: on the CPU.
    pub gpus: Vec<Gpu>,
    /// Trainings that are not cached write event files for TensorBoard to `EXPERIMENT/STAGE/` below this folder (absolute).
    pub tensorboard: Option<PathBuf>,
    /// The least time between a checkpoint and one inside an epoch.
    pub checkpoint_wait: Duration,
}

impl Options {
    /// All stages of `plan`, on all cores and no GPU, until the first failure.
    pub fn all(program: &'static Program, plan: &Plan) -> Self {
        let count = plan.states.len();
        Options {
            program,
            jobs: None,
            keep_going: false,
            wanted: vec![true; count],
            forced: vec![false; count],
            expected: vec![Expectation { cost: 1.0, memory: 0 }; count],
            memory: None,
            gpus: Vec::new(),
            tensorboard: None,
            checkpoint_wait: Duration::from_secs(120),
        }
    }
}

/// A GPU that a run may use.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// What its stages are told to compute on.
    pub name: DeviceName,
    /// What names it for all processes of this machine, whatever `CUDA_VISIBLE_DEVICES` each of them has: its UUID.
    pub identity: String,
}

/// What is known of a stage before it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    /// How long it will take, in seconds or any other measure that all stages of the run share.
    pub cost: f64,
    /// Bytes of memory it will need; 0 if nobody knows.
    pub memory: u64,
}

/// How a run ended.
pub struct Outcome {
    /// How each stage ended, by its index in the experiment.
    pub stages: Vec<StageOutcome>,
    /// Ended by Ctrl-C or SIGTERM.
    pub interrupted: bool,
    /// Stages that were done here.
    pub ran: usize,
    /// Wall time.
    pub seconds: f64,
    /// Until this is dropped, `gc` leaves what the run found and made.
    pub(super) _held: (Option<RunFolder>, Option<Gate>),
}

/// How one stage ended.
pub enum StageOutcome {
    /// Its output is in the cache.
    Done(Arc<Record>),
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
    /// Its key, if its inputs were there.
    pub key: Option<Key>,
    /// What it said itself, if it came to that.
    pub log: Option<PathBuf>,
}

/// What signals ask of a run. Who changes it calls [`Signals::wake`].
#[derive(Default)]
pub struct Signals {
    /// How often somebody asked to stop: the first lets trainings write a last checkpoint, the second ends them at once.
    pub interrupts: AtomicUsize,
    /// Whether trainings shall write a checkpoint now.
    pub checkpoint: Arc<AtomicBool>,
    waker: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Signals {
    /// Tells the run that there is something new.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker();
        }
    }

    /// Calls `waker` at each [`Signals::wake`] from now on.
    pub(super) fn on_wake(&self, waker: impl Fn() + Send + 'static) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(waker));
    }

    /// How often somebody asked to stop.
    pub fn interrupts(&self) -> usize {
        self.interrupts.load(Ordering::Relaxed)
    }
}
