//! Messages between run and worker: one JSON line each.

use super::difference::Difference;
use crate::cache::Key;
use crate::events::{ErrorClass, Event, Progress};
use crate::plan::ResolvedInput;
use crate::stage::Places;
use matssl_base::device_name::DeviceName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Everything a worker needs to run one stage. The run writes it to the worker's standard input and keeps that open:
/// when it closes, the run has ended and the worker ends itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Name of the experiment, for provenance.
    pub experiment: String,
    /// Full name of the stage, for messages and provenance.
    pub stage: String,
    /// Kind of stage.
    pub kind: String,
    /// Parameters with every default filled in.
    pub params: Value,
    /// The stage's seed, if it or its inputs have one.
    pub seed: Option<u64>,
    /// The inputs, all finished.
    pub inputs: Vec<ResolvedInput>,
    /// Locations of data sets.
    pub places: Places,
    /// The cache's folder.
    pub cache: PathBuf,
    /// Run it even if it is cached, and replace its record.
    pub force: bool,
    /// Run it again outside the cache and compare.
    #[serde(default)]
    pub check: bool,
    /// Device to compute on; never part of a key.
    #[serde(default)]
    pub device: DeviceName,
    /// Folder of this stage for a training's TensorBoard event file; `None`: no file. Never part of a key.
    #[serde(default)]
    pub tensorboard: Option<PathBuf>,
    /// Minimum time from a checkpoint to one inside an epoch.
    pub checkpoint_wait: Duration,
    /// Threads to compute with; never changes a bit of the output.
    pub threads: usize,
}

/// A message of a worker: one line on its standard output. The last one is `Finished`, `Checked` or `Failed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Waiting for another run of this stage.
    WaitsForOther,
    /// The other run ended without an output: this one starts.
    Begins,
    /// The stage is computed and its slot is free; the record is not written yet.
    Made,
    /// Progress of the stage.
    Progress(Progress),
    /// It is in the queue of a batch system.
    Queued {
        /// The batch system's number, `123_4`.
        job: String,
        /// Whether another run submitted it.
        adopted: bool,
        /// Where its output goes.
        log: PathBuf,
    },
    /// Its job runs.
    Runs {
        /// Name of the node.
        host: String,
    },
    /// Its job was interrupted and is in the queue again.
    Requeued {
        /// Why.
        why: String,
    },
    /// Peak of its process's memory so far.
    Memory {
        /// In MiB.
        mib: u64,
    },
    /// Computed outside the cache and compared.
    Checked {
        /// Empty if all files are identical.
        differences: Vec<Difference>,
    },
    /// Finished: the record is written.
    Finished {
        /// Key of the record.
        key: Key,
        /// False if another process finished it meanwhile.
        ran: bool,
        /// Wall time of the attempt.
        seconds: f64,
    },
    /// Failed: the attempt has no effect, except that checkpoints stay.
    Failed {
        /// Decides the exit code.
        class: ErrorClass,
        /// The error and its remedy.
        message: String,
    },
}

impl Message {
    /// Converts this message of `stage` into an event; `None` for messages that start or end a stage.
    pub(super) fn into_event(self, stage: &str) -> Option<Event> {
        let stage = stage.to_owned();
        match self {
            Message::WaitsForOther => Some(Event::StageWaits { stage }),
            Message::Begins => Some(Event::StageBegins { stage }),
            Message::Progress(progress) => Some(Event::StageProgress { stage, progress }),
            Message::Queued { job, adopted, .. } => Some(Event::StageQueued { stage, job, adopted }),
            Message::Runs { host } => Some(Event::StageRuns { stage, host }),
            Message::Requeued { why } => Some(Event::StageRequeued { stage, why }),
            Message::Made
            | Message::Memory { .. }
            | Message::Checked { .. }
            | Message::Finished { .. }
            | Message::Failed { .. } => None,
        }
    }
}
