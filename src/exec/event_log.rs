//! What happened in a run: to whoever watches, and to an append-only JSONL file, one a run.

use super::job::{ErrorClass, Message};
use crate::cache::Key;
use crate::stage::Progress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// One line of the event log, and what the terminal shows. Stages are named in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first line.
    RunStarted {
        /// Name of the experiment.
        experiment: String,
        /// Stages asked for.
        stages: usize,
        /// Of those, found in the cache already.
        cached: usize,
        /// Stages that may run at a time.
        jobs: usize,
    },
    /// Found in the cache.
    StageHit {
        /// Which.
        stage: String,
        /// Its key.
        key: Key,
    },
    /// A worker was started.
    StageStarted {
        /// Which.
        stage: String,
        /// Its key.
        key: Key,
        /// Threads it may use.
        threads: usize,
        /// The GPU that is its own, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
    /// Another run is at the same stage; its output will be taken.
    StageWaits {
        /// Which.
        stage: String,
    },
    /// That other run is gone without an output: now it is this one's turn.
    StageBegins {
        /// Which.
        stage: String,
    },
    /// Its process was lost, or it says `retries`: it is tried again.
    StageRetried {
        /// Which.
        stage: String,
        /// Which attempt comes next, from 2.
        attempt: u32,
        /// What ended the last one.
        class: ErrorClass,
        /// In words.
        message: String,
    },
    /// Another run has the GPU that it was to have; it starts when one is free.
    GpuWaits {
        /// Which.
        stage: String,
        /// Which GPU.
        device: String,
    },
    /// How far it is.
    StageProgress {
        /// Which.
        stage: String,
        /// Epochs or images, loss, a note.
        progress: Progress,
    },
    /// Its record is written.
    StageFinished {
        /// Which.
        stage: String,
        /// Its key.
        key: Key,
        /// Wall time.
        seconds: f64,
    },
    /// It failed.
    StageFailed {
        /// Which.
        stage: String,
        /// Decides the exit code.
        class: ErrorClass,
        /// What went wrong.
        message: String,
        /// Its key, if its inputs were there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Key>,
        /// Where what it said itself is, if it said something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<String>,
        /// The end of that.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        last_lines: Vec<String>,
    },
    /// Not tried.
    StageSkipped {
        /// Which.
        stage: String,
        /// The stage whose failure is the cause.
        because_of: String,
    },
    /// Something that the run can do without went wrong: the event log or the index for `explain` cannot be written.
    Warning {
        /// What, and what it means.
        message: String,
    },
    /// The last line.
    RunFinished {
        /// Stages that workers did.
        ran: usize,
        /// Stages that failed.
        failed: usize,
        /// Ended by Ctrl-C or SIGTERM.
        interrupted: bool,
        /// Wall time.
        seconds: f64,
    },
}

/// The run's own file of events.
pub(super) struct EventLog {
    file: File,
}

/// One line of the file.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Line<E> {
    /// Milliseconds since 1970.
    pub(super) at: u64,
    #[serde(flatten)]
    pub(super) event: E,
}

/// The JSON Schema of one line of `events.jsonl`.
pub fn event_schema() -> serde_json::Value {
    schemars::schema_for!(Line<Event>).to_value()
}

/// The events of the run in `folder`, each with its time in seconds since 1970. An incomplete last line is skipped.
pub fn read_events(folder: &Path) -> Vec<(f64, Event)> {
    let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line<Event>>(line).ok());
    lines.map(|line| (line.at as f64 / 1000.0, line.event)).collect()
}

impl EventLog {
    pub(super) fn create(folder: &Path) -> std::io::Result<Self> {
        Ok(EventLog { file: File::options().create(true).append(true).open(folder.join("events.jsonl"))? })
    }

    pub(super) fn write(&mut self, event: &Event) -> std::io::Result<()> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut line = serde_json::to_vec(&Line { at, event })?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

impl Event {
    /// What a worker's message means for the run, except for its last one.
    pub(super) fn of(stage: &str, message: Message) -> Option<Event> {
        let stage = stage.to_owned();
        match message {
            Message::WaitsForOther => Some(Event::StageWaits { stage }),
            Message::Begins => Some(Event::StageBegins { stage }),
            Message::Progress(progress) => Some(Event::StageProgress { stage, progress }),
            Message::Made | Message::Checked { .. } | Message::Finished { .. } | Message::Failed { .. } => None,
        }
    }
}
