//! What a run waits for.

use super::job::Message;
use crate::cache::Record;
use std::sync::Arc;

/// Something a stage said, or its end. The last message of each job is `Finished` or `Failed`.
pub(super) struct Report {
    /// The number under which the job was started.
    pub(super) id: usize,
    pub(super) message: Message,
    /// With `Made`, what will be written; with `Finished`, what was, if it is at hand.
    pub(super) record: Option<Arc<Record>>,
}

/// What a run waits for.
pub(super) enum Notice {
    /// A stage said something, or ended.
    Stage(Report),
    /// [`Signals`](super::Signals) has something new.
    Signal,
    /// The GPU of this number, which another run had, is free.
    GpuFree(usize),
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
