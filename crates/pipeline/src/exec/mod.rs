//! From a plan to finished stages: a pure scheduler, an executor, and the worker process that does one stage.

mod attempt;
mod cached_run;
mod check;
mod committer;
mod deadlines;
mod difference;
mod export;
mod full_disk;
mod gpu_locks;
mod guard;
mod job;
mod job_of_stage;
mod local;
mod log_tail;
mod notice;
mod outcome;
mod program;
mod provenance;
mod remote_lookups;
mod reproduction;
mod requirements;
mod run;
mod run_folder;
mod scheduler;
mod slurm;
mod status;
mod worker;

pub use cached_run::all_cached;
pub use difference::Difference;
pub use export::export;
pub use guard::guard;
pub use job::{Job, Message};
pub use outcome::{Expectation, Failure, Gpu, OnInterrupt, Options, Outcome, Signals, SlurmOptions, StageOutcome};
pub use program::Program;
pub use reproduction::{Reproduction, check_reproduction};
pub use requirements::runs_as_job;
pub use run::run;
pub use run_folder::RunFacts;
pub use slurm::{
    JobSettings, QueuedJob, SlurmSettings, StagesByHand, cancel_jobs, queued_jobs, submit_by_hand, work_task,
};
pub use status::{FailedStage, RunState, RunStatus, RunningStage, StageJob, runs};
pub use worker::work;
