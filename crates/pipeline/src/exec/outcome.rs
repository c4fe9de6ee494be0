//! Options and outcome of a run.

use super::program::Program;
use super::run_folder::RunFolder;
use super::slurm::SlurmSettings;
use crate::cache::{Gate, Key, Record};
use crate::events::ErrorClass;
use crate::plan::Plan;
use matssl_base::device_name::DeviceName;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that the stages belong to.
    pub program: &'static Program,
    /// Maximum number of stages at a time; `None`: the number of cores.
    pub jobs: Option<usize>,
    /// Continue with stages that do not depend on a failed one.
    pub keep_going: bool,
    /// For each stage whether it is requested; all stages it depends on must be requested too.
    pub wanted: Vec<bool>,
    /// For each stage whether to run it again although it is cached.
    pub forced: Vec<bool>,
    /// The expected cost and memory of each stage.
    pub expected: Vec<Expectation>,
    /// Limit on the expected memory of all running stages together, in bytes.
    pub memory: Option<u64>,
    /// GPUs for stages that train or predict, one stage per GPU at a time; empty: the CPU.
    pub gpus: Vec<Gpu>,
    /// Trainings that are not cached write event files for TensorBoard to `EXPERIMENT/STAGE/` below this folder (absolute).
    pub tensorboard: Option<PathBuf>,
    /// Minimum time from a checkpoint to one inside an epoch.
    pub checkpoint_wait: Duration,
    /// Run stages that train, compute or start programs as jobs of Slurm; `None`: all on this machine.
    pub slurm: Option<SlurmOptions>,
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
            slurm: None,
        }
    }
}

/// How a run uses Slurm.
#[derive(Clone, Debug)]
pub struct SlurmOptions {
    /// What the site wants of jobs.
    pub settings: SlurmSettings,
    /// The device of stages that compute, where the site has GPUs for them: a job sees only its own. `None`: CPUs.
    pub device: Option<DeviceName>,
    /// What becomes of jobs when the run is interrupted.
    pub on_interrupt: OnInterrupt,
}

/// What becomes of jobs when their run is interrupted.
#[derive(Clone, Copy, Debug)]
pub enum OnInterrupt {
    /// They go on; the next run takes up what they leave.
    Leave,
    /// They are cancelled.
    Cancel,
    /// The function asks the user, given the number of jobs and whether the user has interrupted again; true: cancel.
    Ask(fn(usize, &dyn Fn() -> bool) -> bool),
}

/// A GPU that a run may use.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// Device name for its stages.
    pub name: DeviceName,
    /// Its UUID, which identifies it on this machine independently of `CUDA_VISIBLE_DEVICES`.
    pub identity: String,
}

/// The expected cost and memory of a stage before it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    /// Expected time, in seconds or any other unit common to all stages of the run.
    pub cost: f64,
    /// Expected memory in bytes; 0 if unknown.
    pub memory: u64,
}

/// Outcome of a run.
pub struct Outcome {
    /// Outcome of each stage, by its index in the experiment.
    pub stages: Vec<StageOutcome>,
    /// Ended by Ctrl-C or SIGTERM.
    pub interrupted: bool,
    /// Number of stages that this run computed.
    pub ran: usize,
    /// Wall time.
    pub seconds: f64,
    /// While this is held, `gc` keeps the records that the run found and wrote.
    pub(super) _held: (Option<RunFolder>, Option<Gate>),
}

/// Outcome of one stage.
pub enum StageOutcome {
    /// Its output is in the cache.
    Done(Arc<Record>),
    /// It failed.
    Failed(Failure),
    /// It depends on a failed stage, was not requested, or the run ended first.
    NotRun,
}

/// Why a stage failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub class: ErrorClass,
    /// The error and its remedy.
    pub message: String,
    /// Its key, if its inputs were available.
    pub key: Option<Key>,
    /// Its log, if it wrote one.
    pub log: Option<PathBuf>,
}

/// Requests from signals to a run. Call [`Signals::wake`] after a change.
#[derive(Default)]
pub struct Signals {
    /// Number of requests to stop: after the first, trainings write a last checkpoint; the second ends them at once.
    pub interrupts: AtomicUsize,
    /// Whether trainings must write a checkpoint now.
    pub checkpoint: Arc<AtomicBool>,
    waker: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Signals {
    /// Notifies the run of a change.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker();
        }
    }

    /// Calls `waker` at each [`Signals::wake`] from now on.
    pub(super) fn on_wake(&self, waker: impl Fn() + Send + 'static) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(waker));
    }

    /// Number of requests to stop.
    pub fn interrupts(&self) -> usize {
        self.interrupts.load(Ordering::Relaxed)
    }
}
