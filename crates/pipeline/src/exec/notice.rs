//! The notices that a run waits for.

use super::job::Message;
use crate::cache::{Gate, Record};
use std::sync::Arc;

/// A message of a stage. The last message of each job is `Finished` or `Failed`.
pub(super) struct Report {
    /// The number under which the job was started.
    pub(super) id: usize,
    pub(super) message: Message,
    /// With `Made` the record to be written; with `Finished` the written record, if it is in memory.
    pub(super) record: Option<Arc<Record>>,
}

/// What the remote has for a stage.
pub(super) struct Looked {
    pub(super) stage: usize,
    /// The stage's record, now in the cache; `None` if it must run, and its inputs are in the cache.
    ///
    /// # Errors
    /// An input cannot be had.
    pub(super) outcome: Result<Option<Arc<Record>>, String>,
    /// Keeps `gc` from what was brought until the run has written that it uses it.
    pub(super) gate: Option<Gate>,
}

/// A notice that a run waits for.
pub(super) enum Notice {
    /// A message of a stage.
    Stage(Report),
    /// The remote has answered, and what is needed of it is here.
    Looked(Looked),
    /// The remote has files that this stage needs. They are on their way, and [`Notice::Looked`] follows.
    Fetching(usize),
    /// [`Signals`](super::Signals) has changed.
    Signal,
    /// The GPU with this number, used by another run before, is free.
    GpuFree(usize),
    /// The job of this stage was taken back before it ran.
    Withdrawn(usize),
    /// The batch system refuses the jobs of these stages.
    Refused { stages: Vec<usize>, message: String },
    /// A problem that does not stop the run.
    Warning(String),
}

impl From<Report> for Notice {
    fn from(report: Report) -> Self {
        Notice::Stage(report)
    }
}

impl Report {
    pub(super) fn new(id: usize, message: Message) -> Self {
        Report { id, message, record: None }
    }
}
