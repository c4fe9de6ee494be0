//! What stages are to the scheduler, and what they share.

/// What stages share out among themselves.
#[derive(Clone, Copy, Debug)]
pub(in crate::exec) struct Resources {
    /// Threads that compute at a time.
    pub(in crate::exec) threads: usize,
    /// Workers at a time.
    pub(in crate::exec) jobs: usize,
    /// GPUs, each for one stage at a time.
    pub(in crate::exec) gpus: usize,
    /// Bytes of memory that stages may be expected to need together; a lone one may need more.
    pub(in crate::exec) memory: Option<u64>,
}

/// What a stage is to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::exec) struct Duty {
    /// Decides the order of starts.
    pub(in crate::exec) role: Role,
    /// Whether it waits for a GPU, where there are any.
    pub(in crate::exec) computes: bool,
    /// Reads its inputs within this process, and so before their records are durable.
    pub(in crate::exec) eager: bool,
    /// At most so many threads.
    pub(in crate::exec) threads: Option<usize>,
    /// Bytes of memory it is expected to need; 0 if nobody knows.
    pub(in crate::exec) memory: u64,
    /// Seconds it is expected to take, or any other measure that all stages of a run share: what has the most before it
    /// starts first.
    pub(in crate::exec) cost: f64,
}

/// What the order of starts depends on besides the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) enum Role {
    /// Looks at data from outside: no training starts before all wanted checks have ended. Reads no other stage (one
    /// that does counts as [`Role::Other`]: it could wait for a training that waits for it).
    Check,
    /// A training stage.
    Training,
    /// Anything else.
    Other,
}
