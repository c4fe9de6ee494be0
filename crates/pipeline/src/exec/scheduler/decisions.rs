//! Input and output of the scheduler: events and decisions.

/// Something that happened to a stage or a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) enum Event {
    /// Its inputs are finished, and its output is cached.
    Hit(usize),
    /// Its inputs are finished, but its output is not cached.
    Miss(usize),
    /// Its lookup is answered by files that must be downloaded first. `Hit`, `Miss` or `Failed` follows; others may start meanwhile.
    Fetching(usize),
    /// It is computed and its slot is free, but its record is not durable yet: only eager stages may read it.
    Computed(usize),
    /// Its record is written.
    Finished(usize),
    /// It failed.
    Failed(usize),
    /// Its process was lost: it must start again.
    Again(usize),
    /// Another run uses the GPU that was chosen for it: it must start when a GPU is free.
    GpuTaken(usize),
    /// Another run has released this GPU (counted from 0).
    GpuFree(usize),
    /// Its job was taken back before it began: it has not run.
    Withdrawn(usize),
}

/// A decision of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) enum Decision {
    /// All inputs are finished: look the output up in the cache, and answer `Hit`, `Miss`, `Fetching` or `Failed`.
    Look(usize),
    /// Start a worker.
    Start {
        /// The stage.
        stage: usize,
        /// Number of threads, at least 1.
        threads: usize,
        /// Its GPU, counted from 0, if it computes on one.
        gpu: Option<usize>,
    },
    /// Submit a job of the batch system.
    Submit(usize),
}
