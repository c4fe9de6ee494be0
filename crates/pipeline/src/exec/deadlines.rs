//! Running stages that have exceeded their `timeout`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Time for a last checkpoint after a stage was asked to end.
const GRACE: Duration = Duration::from_secs(10);

/// Action on a stage that has exceeded its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Ask it to end.
    Ask(usize),
    /// Kill it: it was asked and has not ended.
    Kill(usize),
}

/// Time limits of the running stages.
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
    /// Starts the time of `stage` at `now`; no `limit`: unlimited.
    pub(super) fn start(&mut self, stage: usize, limit: Option<Duration>, now: Instant) {
        if let Some(limit) = limit {
            self.running.insert(stage, Deadline { limit, next: now.checked_add(limit), asked: false });
        }
    }

    /// Stops the time while `stage` waits for another run.
    pub(super) fn pause(&mut self, stage: usize) {
        if let Some(deadline) = self.running.get_mut(&stage) {
            deadline.next = None;
        }
    }

    /// Removes `stage`, which has ended. Returns its limit if it was asked to end because of it.
    pub(super) fn end(&mut self, stage: usize) -> Option<Duration> {
        self.running.remove(&stage).filter(|deadline| deadline.asked).map(|deadline| deadline.limit)
    }

    /// Time of the next action; `None` if no limit is active.
    pub(super) fn next(&self) -> Option<Instant> {
        self.running.values().filter_map(|deadline| deadline.next).min()
    }

    /// The actions due at `now`; each is returned once.
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
    fn an_overdue_stage_is_asked_to_end_then_killed_and_waiting_does_not_count() {
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
