//! What run and worker say to each other: one JSON line each.

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

/// Everything a worker needs to do one stage. Written to its standard input, which then stays open: when it closes,
/// the run is gone and the worker ends itself.
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
    /// Inputs, all finished.
    pub inputs: Vec<ResolvedInput>,
    /// Where data sets lie.
    pub places: Places,
    /// The cache's folder.
    pub cache: PathBuf,
    /// Do it although it is done, and replace its record.
    pub force: bool,
    /// Do it although it is done, beside the cache, and compare.
    #[serde(default)]
    pub check: bool,
    /// What to compute on; never part of a key.
    #[serde(default)]
    pub device: DeviceName,
    /// Where a training leaves its event file for TensorBoard, if it shall: a folder for this stage alone. Never part of a
    /// key.
    #[serde(default)]
    pub tensorboard: Option<PathBuf>,
    /// The least time between a checkpoint and one inside an epoch.
    pub checkpoint_wait: Duration,
    /// Threads to compute with; never changes a bit of the output.
    pub threads: usize,
}

/// What a worker says, one line each on its standard output; the last one is `Finished`, `Checked` or `Failed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Another process is at the same stage; waiting for its output.
    WaitsForOther,
    /// That process is gone without an output: now it is this one's turn.
    Begins,
    /// The work is done and its slot free; the record comes next.
    Made,
    /// How far it is.
    Progress(Progress),
    /// Done beside the cache: what is not as the cache has it.
    Checked {
        /// Empty if all is the same.
        differences: Vec<Difference>,
    },
    /// Done: the record is written.
    Finished {
        /// Of the record.
        key: Key,
        /// False if another process finished it meanwhile.
        ran: bool,
        /// Wall time of the attempt.
        seconds: f64,
    },
    /// Not done; nothing of the attempt counts, checkpoints stay.
    Failed {
        /// Decides the exit code.
        class: ErrorClass,
        /// What went wrong and what helps.
        message: String,
    },
}

impl Message {
    /// The event that this message of `stage` is for the run; `None` for messages that start or end a stage.
    pub(super) fn into_event(self, stage: &str) -> Option<Event> {
        let stage = stage.to_owned();
        match self {
            Message::WaitsForOther => Some(Event::StageWaits { stage }),
            Message::Begins => Some(Event::StageBegins { stage }),
            Message::Progress(progress) => Some(Event::StageProgress { stage, progress }),
            Message::Made | Message::Checked { .. } | Message::Finished { .. } | Message::Failed { .. } => None,
        }
    }
}
