//! What the run asks of the watch over its jobs.

use super::super::job::Job;
use crate::cache::Key;
use matssl_base::device_name::DeviceName;
use std::time::Duration;

/// A stage to run as a job.
#[derive(Clone, Debug)]
pub(in crate::exec) struct Request {
    /// The number under which it is reported.
    pub(in crate::exec) id: usize,
    pub(in crate::exec) key: Key,
    pub(in crate::exec) job: Job,
    /// Whether it trains, and so goes on from a checkpoint.
    pub(in crate::exec) trains: bool,
    /// The device that it computes on, where the site has GPUs for its kind.
    pub(in crate::exec) device: Option<DeviceName>,
    /// Threads and bytes of memory of the stage, if they are known.
    pub(in crate::exec) threads: Option<usize>,
    pub(in crate::exec) memory: Option<u64>,
    /// Longest wall time of one attempt.
    pub(in crate::exec) timeout: Option<Duration>,
    /// How often its job was taken away.
    pub(in crate::exec) taken: u32,
}

/// What the watch is told.
pub(super) enum Command {
    Submit(Box<Request>),
    /// No more requests come for now.
    Flush,
    /// Take back what has not begun.
    Withdraw,
    /// End this thread; jobs go on, or are cancelled.
    End {
        cancel: bool,
    },
}

/// A request for tests.
#[cfg(test)]
pub(super) fn test_request(id: usize) -> Request {
    use crate::cache::Digest;
    use std::path::PathBuf;
    let job = Job {
        experiment: "e".into(),
        stage: format!("s{id}"),
        kind: "toy".into(),
        params: serde_json::Value::Null,
        seed: None,
        inputs: Vec::new(),
        places: Default::default(),
        cache: PathBuf::new(),
        force: false,
        check: false,
        device: Default::default(),
        tensorboard: None,
        checkpoint_wait: Duration::ZERO,
        threads: 1,
    };
    let key = Key(Digest::of(&id.to_le_bytes()));
    let (threads, memory, timeout) = (None, None, None);
    Request { id, key, job, trains: false, device: None, threads, memory, timeout, taken: 0 }
}
