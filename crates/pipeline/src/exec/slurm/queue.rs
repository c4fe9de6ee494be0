//! What Slurm says of jobs.

use std::collections::HashMap;

/// The columns that [`Queue::parse`] reads, as `squeue -o` takes them: array job, task, state, reason, job name.
pub(super) const COLUMNS: &str = "%F|%K|%T|%r|%j";

/// What Slurm says of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Number of the job array.
    pub(super) job: u64,
    pub(super) state: State,
    /// Why it waits or has ended, in Slurm's words.
    pub(super) reason: String,
}

/// State of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits to be started, or to be started again.
    Waiting,
    /// It is on a node.
    Running,
    /// It has ended.
    Ended(End),
}

/// How a task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its program ended, well or not: the program says which.
    ByItself,
    /// Its wall time was over.
    WallTime,
    /// It used more memory than it asked for.
    OutOfMemory,
    /// Somebody cancelled it.
    Cancelled,
    /// Its node failed, or a job of higher priority took its place.
    Taken,
}

impl State {
    /// Reads a state as `squeue` and `sacct` write it; unknown words count as running, so that nothing is given up.
    fn named(word: &str) -> State {
        // `sacct` writes `CANCELLED by 1000`.
        match word.split(' ').next().unwrap_or_default() {
            "PENDING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => {
                State::Waiting
            }
            "COMPLETED" | "FAILED" => State::Ended(End::ByItself),
            "TIMEOUT" | "DEADLINE" => State::Ended(End::WallTime),
            "OUT_OF_MEMORY" => State::Ended(End::OutOfMemory),
            "CANCELLED" | "REVOKED" => State::Ended(End::Cancelled),
            "NODE_FAIL" | "BOOT_FAIL" | "PREEMPTED" => State::Ended(End::Taken),
            _ => State::Running,
        }
    }
}

/// All of this user's tasks, by batch and number.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    tasks: HashMap<String, HashMap<usize, Entry>>,
}

impl Queue {
    /// Reads lines of [`COLUMNS`]; those of other jobs are left out. `squeue` and `sacct --parsable2` write them alike.
    pub(super) fn parse(text: &str) -> Self {
        let mut queue = Queue::default();
        for line in text.lines() {
            let mut parts = line.splitn(5, '|');
            let mut part = || parts.next().unwrap_or_default().trim();
            let (job, task, state, reason, name) = (part(), part(), part(), part(), part());
            if let (Ok(job), Ok(task)) = (job.parse(), task.parse()) {
                let entry = Entry { job, state: State::named(state), reason: reason.to_owned() };
                queue.tasks.entry(name.to_owned()).or_default().insert(task, entry);
            }
        }
        queue
    }

    pub(super) fn task(&self, batch: &str, task: usize) -> Option<&Entry> {
        self.tasks.get(batch)?.get(&task)
    }

    /// Slurm's number of the job array of `batch`.
    pub(super) fn job(&self, batch: &str) -> Option<u64> {
        self.tasks.get(batch)?.values().next().map(|entry| entry.job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_read_line_by_line() {
        let queue = Queue::parse(
            "12|3|RUNNING|None|matssl-a\n12|4|PENDING|Resources|matssl-a\n9|N/A|RUNNING|None|other\n\
             13|0|CANCELLED by 0|None|matssl-b|c\n14|0|STAGE_OUT|None|matssl-d\n",
        );
        let state = |batch, task| queue.task(batch, task).map(|entry| entry.state);
        assert_eq!(state("matssl-a", 3), Some(State::Running));
        assert_eq!(state("matssl-a", 4), Some(State::Waiting));
        assert_eq!(state("matssl-a", 5), None);
        assert_eq!(state("matssl-b|c", 0), Some(State::Ended(End::Cancelled)), "a name may hold the separator");
        assert_eq!(state("matssl-d", 0), Some(State::Running));
        assert_eq!(queue.job("matssl-a"), Some(12));
        assert_eq!(queue.task("matssl-a", 4).unwrap().reason, "Resources");
    }
}
