//! Which running stages have taken longer than their `timeout`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a stage that was asked to end may take for a last checkpoint.
const GRACE: Duration = Duration::from_secs(10);

/// What is to be done about a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Ask it to end.
    Ask(usize),
    /// It was asked and has not ended.
    Kill(usize),
}

/// The limits of the stages that run.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    running: BTreeMap<usize, Deadline>,
}

#[derive(Debug)]
struct Deadline {
    limit: Duration,
    /// None while it waits for another run.
    next: Option<Instant>,
    asked: bool,
}

impl Deadlines {
    /// `stage` starts to work at `now`; without a limit it may take as long as it likes.
    pub(super) fn start(&mut self, stage: usize, limit: Option<Duration>, now: Instant) {
        if let Some(limit) = limit {
            self.running.insert(stage, Deadline { limit, next: now.checked_add(limit), asked: false });
        }
    }

    /// It waits for somebody else: that time is not its own.
    pub(super) fn pause(&mut self, stage: usize) {
        if let Some(deadline) = self.running.get_mut(&stage) {
            deadline.next = None;
        }
    }

    /// It ended. Its limit, if it had been asked to end because of it.
    pub(super) fn end(&mut self, stage: usize) -> Option<Duration> {
        self.running.remove(&stage).filter(|deadline| deadline.asked).map(|deadline| deadline.limit)
    }

    /// When there is something to be done next; `None` if no limit runs.
    pub(super) fn next(&self) -> Option<Instant> {
        self.running.values().filter_map(|deadline| deadline.next).min()
    }

    /// What is to be done by `now`; each answer is given once.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Overdue> {
        let due = self.running.iter_mut().filter(|(_, deadline)| deadline.next.is_some_and(|next| next <= now));
        due.map(|(&stage, deadline)| {
            let was_asked = std::mem::replace(&mut deadline.asked, true);
            deadline.next = (!was_asked).then(|| now + GRACE);
            if was_asked { Overdue::Kill(stage) } else { Overdue::Ask(stage) }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_asked_first_and_killed_later_and_waiting_does_not_count() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        deadlines.start(0, Some(Duration::from_secs(5)), start);
        deadlines.start(1, None, start);
        deadlines.start(2, Some(Duration::from_secs(5)), start);
        deadlines.pause(2);
        assert!(deadlines.overdue(after(4)).is_empty());
        assert_eq!(deadlines.next(), Some(after(5)));
        assert_eq!(deadlines.overdue(after(5)), [Overdue::Ask(0)]);
        assert_eq!(deadlines.next(), Some(after(15)));
        assert!(deadlines.overdue(after(6)).is_empty());
        deadlines.start(2, Some(Duration::from_secs(5)), after(10));
        assert_eq!(deadlines.overdue(after(15)), [Overdue::Kill(0), Overdue::Ask(2)]);
        assert_eq!(deadlines.end(0), Some(Duration::from_secs(5)));
        assert_eq!(deadlines.end(1), None);
    }
}
