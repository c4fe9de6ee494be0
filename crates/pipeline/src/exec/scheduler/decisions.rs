//! What the scheduler is told, and what it answers.

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) enum Event {
    /// Its inputs are there and so is its output.
    Hit(usize),
    /// Its inputs are there, its output is not.
    Miss(usize),
    /// Its work is done and its slot free, but its record is not durable yet: only the eager may read it.
    Made(usize),
    /// Its record is written.
    Finished(usize),
    /// It cannot be done.
    Failed(usize),
    /// It was lost on the way, through no fault of its own: it shall start once more.
    Again(usize),
    /// The GPU that it was to have is in use by another run: it shall start when one is free.
    GpuTaken(usize),
    /// A GPU that another run had, counted from 0, is free again.
    GpuFree(usize),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) enum Decision {
    /// All inputs are there: look whether the output is in the cache, and answer `Hit`, `Miss` or `Failed`.
    Look(usize),
    /// Start a worker with so many threads.
    Start {
        /// Which stage.
        stage: usize,
        /// Threads it may use, at least one.
        threads: usize,
        /// The GPU that is its own, counted from 0, if it computes on one.
        gpu: Option<usize>,
    },
}
