//! A task that this run waits for, and what follows from what is known of it.

use super::queue::{End, Entry, State};
use super::request::Request;
use crate::cache::Key;
use std::time::{Duration, Instant};

/// A task that this run waits for.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) request: Request,
    /// The batch that has it, by its index in the executor's list.
    pub(super) batch: usize,
    pub(super) task: usize,
    /// How far its messages are read.
    pub(super) offset: u64,
    /// Number of its job array and what the last look at the queue said; `None` before Slurm has named it.
    pub(super) entry: Option<Entry>,
    /// When it was first seen to have ended without a last message.
    ended_since: Option<Instant>,
    /// Its last message names this record, which is not visible yet: since when, and what the message said.
    pub(super) awaited: Option<(Instant, Key, bool, f64)>,
    /// Peak of its memory in MiB, as it says.
    pub(super) peak_mib: Option<u64>,
    /// Whether this run took it back.
    pub(super) withdrawn: bool,
}

/// What to do about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It waits, runs, or its files may still become visible.
    Wait,
    /// This run took it back before it began.
    Withdrawn,
    /// It ended through no fault of its own: submit it again.
    Again(&'static str),
    /// Its wall time was over.
    WallTime,
    /// It used more memory than it asked for.
    OutOfMemory,
    /// Somebody cancelled it.
    Cancelled,
    /// It ended, or is gone from the queue, without a last message.
    Lost,
}

impl Tracked {
    pub(super) fn new(request: Request, batch: usize, task: usize) -> Self {
        Tracked {
            request,
            batch,
            task,
            offset: 0,
            entry: None,
            ended_since: None,
            awaited: None,
            peak_mib: None,
            withdrawn: false,
        }
    }

    /// Takes what the queue says at `now`; `None`: the queue does not know the task. A file that another host wrote is visible
    /// after `visibility` at the latest.
    pub(super) fn judge(&mut self, entry: Option<&Entry>, now: Instant, visibility: Duration) -> Verdict {
        if let Some(entry) = entry {
            self.entry = Some(entry.clone());
        }
        let end = match entry.map(|entry| entry.state) {
            Some(State::Waiting | State::Running) => {
                self.ended_since = None;
                return Verdict::Wait;
            }
            Some(State::Ended(end)) => Some(end),
            None => None,
        };
        let since = *self.ended_since.get_or_insert(now);
        match end {
            Some(End::Cancelled) if self.withdrawn => Verdict::Withdrawn,
            // Its last message may still become visible.
            _ if now.duration_since(since) < visibility => Verdict::Wait,
            Some(End::Cancelled) => Verdict::Cancelled,
            Some(End::Taken) => Verdict::Again("its node failed or was given to another job"),
            Some(End::WallTime) => Verdict::WallTime,
            Some(End::OutOfMemory) => Verdict::OutOfMemory,
            Some(End::ByItself) | None => Verdict::Lost,
        }
    }

    /// Whether it waits in the queue.
    pub(super) fn is_waiting(&self) -> bool {
        self.entry.as_ref().is_none_or(|entry| entry.state == State::Waiting)
    }

    /// `job 123_4`; without a number before Slurm has named it.
    pub(super) fn name(&self, job: Option<u64>) -> String {
        match self.entry.as_ref().map(|entry| entry.job).or(job) {
            Some(job) => format!("Slurm job {job}_{}", self.task),
            None => "its Slurm job".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::test_request;
    use super::*;

    #[test]
    fn a_task_without_a_last_message_is_judged_when_that_could_be_seen() {
        let (start, visibility) = (Instant::now(), Duration::from_secs(60));
        let entry = |state| Entry { job: 5, state, reason: String::new() };
        let later = start + visibility;
        let cases = [
            (End::ByItself, Verdict::Lost),
            (End::WallTime, Verdict::WallTime),
            (End::OutOfMemory, Verdict::OutOfMemory),
            (End::Cancelled, Verdict::Cancelled),
        ];
        for (end, verdict) in cases {
            let mut task = Tracked::new(test_request(0), 0, 4);
            assert!(task.is_waiting());
            assert_eq!(task.judge(Some(&entry(State::Running)), start, visibility), Verdict::Wait);
            assert!(!task.is_waiting());
            let ended = entry(State::Ended(end));
            assert_eq!(task.judge(Some(&ended), start, visibility), Verdict::Wait);
            assert_eq!(task.judge(Some(&ended), later, visibility), verdict);
            assert_eq!(task.name(None), "Slurm job 5_4");
        }
        let mut task = Tracked::new(test_request(0), 0, 4);
        assert_eq!(task.judge(None, start, visibility), Verdict::Wait, "submitted a moment ago");
        assert_eq!(task.judge(Some(&entry(State::Waiting)), later, visibility), Verdict::Wait);
        assert_eq!(task.judge(None, later, visibility), Verdict::Wait, "the time counts anew");
        assert_eq!(task.judge(None, later + visibility, visibility), Verdict::Lost);
        task.withdrawn = true;
        assert_eq!(task.judge(Some(&entry(State::Ended(End::Cancelled))), start, visibility), Verdict::Withdrawn);
        let mut task = Tracked::new(test_request(0), 0, 4);
        task.judge(Some(&entry(State::Ended(End::Taken))), start, visibility);
        assert!(matches!(task.judge(Some(&entry(State::Ended(End::Taken))), later, visibility), Verdict::Again(_)));
    }
}
