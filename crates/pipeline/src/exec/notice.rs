//! The notices that a run waits for.

use super::job::Message;
use crate::cache::Record;
use std::sync::Arc;

/// A message of a stage. The last message of each job is `Finished` or `Failed`.
pub(super) struct Report {
    /// The number under which the job was started.
    pub(super) id: usize,
    pub(super) message: Message,
    /// With `Made` the record to be written; with `Finished` the written record, if it is in memory.
    pub(super) record: Option<Arc<Record>>,
}

/// A notice that a run waits for.
pub(super) enum Notice {
    /// A message of a stage.
    Stage(Report),
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
