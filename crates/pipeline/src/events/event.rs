//! What can happen in a run.

use super::error_class::ErrorClass;
use super::progress::Progress;
use crate::key::Key;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One event of a run. Stages have their full names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run started: the first line of its log.
    RunStarted {
        /// Name of the experiment.
        experiment: String,
        /// Number of stages that were asked for.
        stages: usize,
        /// How many of them were in the cache already.
        cached: usize,
        /// Maximum number of stages that run at a time.
        jobs: usize,
    },
    /// The stage's output was found in the cache.
    StageHit {
        /// Name of the stage.
        stage: String,
        /// Its cache key.
        key: Key,
    },
    /// The stage started.
    StageStarted {
        /// Name of the stage.
        stage: String,
        /// Its cache key.
        key: Key,
        /// Number of threads it may use.
        threads: usize,
        /// The GPU that it alone uses; absent without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
    /// The stage is to run as a job of a batch system.
    StageSubmitted {
        /// Name of the stage.
        stage: String,
        /// Its cache key.
        key: Key,
    },
    /// Its job is in the batch system's queue.
    StageQueued {
        /// Name of the stage.
        stage: String,
        /// The batch system's number, `123_4`.
        job: String,
        /// Whether an earlier run, or one beside this, submitted it.
        adopted: bool,
    },
    /// Its job runs.
    StageRuns {
        /// Name of the stage.
        stage: String,
        /// Name of the node.
        host: String,
    },
    /// Its job was interrupted through no fault of its own, and is queued again.
    StageRequeued {
        /// Name of the stage.
        stage: String,
        /// Why it was interrupted.
        why: String,
    },
    /// Its job was taken back before it ran.
    StageWithdrawn {
        /// Name of the stage.
        stage: String,
    },
    /// Another run computes the same stage; this run waits for its output.
    StageWaits {
        /// Name of the stage.
        stage: String,
    },
    /// The other run ended without an output; this run computes the stage now.
    StageBegins {
        /// Name of the stage.
        stage: String,
    },
    /// An attempt failed, and the stage will be tried again.
    StageRetried {
        /// Name of the stage.
        stage: String,
        /// Number of the next attempt; the second attempt is 2.
        attempt: u32,
        /// Why the last attempt failed.
        class: ErrorClass,
        /// The error message of the last attempt.
        message: String,
    },
    /// Another run uses the stage's GPU; the stage starts when a GPU is free.
    GpuWaits {
        /// Name of the stage.
        stage: String,
        /// The GPU that it waits for.
        device: String,
    },
    /// How much of its work the stage has done.
    StageProgress {
        /// Name of the stage.
        stage: String,
        /// Epochs or images done, loss, remark.
        progress: Progress,
    },
    /// The stage finished, and its record is in the cache.
    StageFinished {
        /// Name of the stage.
        stage: String,
        /// Its cache key.
        key: Key,
        /// Wall time in seconds.
        seconds: f64,
    },
    /// The stage failed.
    StageFailed {
        /// Name of the stage.
        stage: String,
        /// Why: decides the exit code.
        class: ErrorClass,
        /// The error message.
        message: String,
        /// Its cache key; absent if its inputs were not found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Key>,
        /// Path of the stage's own log; absent if the log is empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<String>,
        /// The last lines of that log.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        last_lines: Vec<String>,
    },
    /// These stages were refused before they started, because they must fail.
    StagesRefused {
        /// Names of the stages.
        stages: Vec<String>,
        /// Why: decides the exit code.
        class: ErrorClass,
        /// The error message.
        message: String,
    },
    /// The stage was not tried.
    StageSkipped {
        /// Name of the stage.
        stage: String,
        /// The failed stage that it depends on.
        because_of: String,
    },
    /// A fault that does not stop the run, e.g. the event log or the index for `explain` cannot be written.
    Warning {
        /// What is wrong, and what follows from it.
        message: String,
    },
    /// The run ended: the last line of its log.
    RunFinished {
        /// Number of stages that this run computed.
        ran: usize,
        /// Number of stages that failed.
        failed: usize,
        /// Whether Ctrl-C or SIGTERM ended the run.
        interrupted: bool,
        /// Wall time in seconds.
        seconds: f64,
    },
}
