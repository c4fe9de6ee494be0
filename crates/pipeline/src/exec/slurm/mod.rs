//! Stages as jobs of Slurm. The run writes each stage's job into a folder of the cache and submits stages that need the same as one
//! job array; a job runs the worker, which reads that folder and leaves messages and outcome there. So jobs need no run: they go on
//! without it, and the next run finds them by the claim on a stage's key and by the batch's name in the queue.
//!
//! ```text
//! slurm/<batch>/batch.json        who submits it; the batch's name is the job's name
//! slurm/<batch>/script.sh         the job script
//! slurm/<batch>/submitted.json    Slurm's number of the job array, once it is accepted
//! slurm/<batch>/tasks/<n>.json    the stage that task n runs
//! slurm/<batch>/messages/<n>.jsonl   what it has said
//! slurm/<batch>/ended/<n>.json    its last message, written at once
//! slurm/<batch>/logs/<n>.log      its output
//! slurm/claims/<key>.<n>          the batch and task that run the stage of this key; the last one counts
//! ```
//! No lock is held across hosts. A claim is linked, which is one step on any shared file system; where two jobs run one stage all the
//! same, the first record wins.

mod batch;
mod by_hand;
mod claim;
mod commands;
mod ended_jobs;
mod executor;
mod jobs;
mod queue;
mod queued_jobs;
mod request;
mod script;
mod settings;
mod submission;
mod task;
mod tracked;

pub use by_hand::{StagesByHand, submit_by_hand};
pub(super) use executor::SlurmExecutor;
pub use queued_jobs::{QueuedJob, cancel_jobs, queued_jobs};
pub(super) use request::Request;
pub use settings::{JobSettings, SlurmSettings};
pub use task::work_task;
