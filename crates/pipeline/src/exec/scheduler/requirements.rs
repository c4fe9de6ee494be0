//! Requirements of stages, and the resources they share.

/// Resources that running stages share.
#[derive(Clone, Copy, Debug)]
pub(in crate::exec) struct Resources {
    /// Number of computing threads.
    pub(in crate::exec) threads: usize,
    /// Maximum number of stages at a time.
    pub(in crate::exec) jobs: usize,
    /// Number of GPUs, each for one stage at a time.
    pub(in crate::exec) gpus: usize,
    /// Limit on the expected memory of all running stages, in bytes; a stage that runs alone may exceed it.
    pub(in crate::exec) memory: Option<u64>,
    /// Maximum number of jobs of a batch system at a time, waiting ones included.
    pub(in crate::exec) submitted: usize,
}

/// Requirements of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::exec) struct Requirements {
    /// Affects the order of starts.
    pub(in crate::exec) role: Role,
    /// Whether it needs a GPU, if the run has any.
    pub(in crate::exec) computes: bool,
    /// Whether it runs as a job of a batch system, and so needs none of this machine's resources.
    pub(in crate::exec) is_submitted: bool,
    /// Whether it reads inputs within this process, so even before their records are durable.
    pub(in crate::exec) eager: bool,
    /// Maximum number of threads.
    pub(in crate::exec) threads: Option<usize>,
    /// Expected memory in bytes; 0 if unknown.
    pub(in crate::exec) memory: u64,
    /// Expected time, in seconds or any other unit common to all stages of a run. The stage with the most expensive
    /// remaining path starts first.
    pub(in crate::exec) cost: f64,
}

/// Role of a stage in the order of starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) enum Role {
    /// Checks external data: no training starts before all wanted checks have ended. A check reads no other stage (one
    /// that does counts as [`Role::Other`]: it could wait for a training that waits for it).
    Check,
    /// A training stage.
    Training,
    /// Anything else.
    Other,
}
