//! What to do next, as a pure state machine: events in, decisions out; no threads, no clock, no I/O.

use crate::plan::Dag;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Its inputs are there and so is its output.
    Hit(usize),
    /// Its inputs are there, its output is not.
    Miss(usize),
    /// Its worker wrote a record.
    Finished(usize),
    /// It cannot be done.
    Failed(usize),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// All inputs are there: look whether the output is in the cache, and answer `Hit`, `Miss` or `Failed`.
    Look(usize),
    /// Start a worker with so many threads.
    Start {
        /// Which stage.
        stage: usize,
        /// Threads it may use, at least one.
        threads: usize,
    },
}

/// How one stage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Inputs are missing.
    Waiting,
    /// Somebody is looking it up.
    Looking,
    /// Waits for a slot.
    Ready,
    /// A worker is at it, with so many threads.
    Running(usize),
    /// Done; `true` if a worker ran.
    Done(bool),
    /// Failed.
    Failed,
    /// Not tried, because this stage failed.
    Skipped(usize),
    /// Nobody asked for it.
    NotWanted,
}

/// Decides what runs when. Longest remaining path first, so that the run ends soonest; ties by order in the file.
#[derive(Clone, Debug)]
pub(super) struct Scheduler {
    dag: Dag,
    states: Vec<State>,
    depth: Vec<usize>,
    threads: usize,
    jobs: usize,
    keep_going: bool,
}

impl Scheduler {
    /// For the stages that `wanted` marks, on `threads` threads, with at most `jobs` workers at a time.
    pub(super) fn new(dag: Dag, wanted: &[bool], threads: usize, jobs: usize, keep_going: bool) -> Self {
        let states = wanted.iter().map(|&wanted| if wanted { State::Waiting } else { State::NotWanted }).collect();
        let depth = dag.remaining_depth();
        Scheduler { dag, states, depth, threads: threads.max(1), jobs: jobs.max(1), keep_going }
    }

    /// How each stage stands.
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    /// Takes note of what has happened.
    pub(super) fn on(&mut self, event: Event) {
        match event {
            Event::Hit(stage) => self.states[stage] = State::Done(false),
            Event::Miss(stage) => self.states[stage] = State::Ready,
            Event::Finished(stage) => self.states[stage] = State::Done(true),
            Event::Failed(stage) => {
                self.states[stage] = State::Failed;
                self.skip_readers(stage);
            }
        }
    }

    fn skip_readers(&mut self, failed: usize) {
        let mut stack = vec![failed];
        while let Some(stage) = stack.pop() {
            for reader in self.dag.readers(stage).collect::<Vec<_>>() {
                if self.states[reader] == State::Waiting {
                    self.states[reader] = State::Skipped(failed);
                    stack.push(reader);
                }
            }
        }
    }

    /// What to do now. Lookups come first, so that slots are shared out among all stages that are ready.
    pub(super) fn decide(&mut self) -> Vec<Decision> {
        let failed = self.states.contains(&State::Failed);
        if failed && !self.keep_going {
            return Vec::new();
        }
        let mut decisions = Vec::new();
        for stage in 0..self.states.len() {
            let fed = self.dag.inputs(stage).all(|input| matches!(self.states[input], State::Done(_)));
            if self.states[stage] == State::Waiting && fed {
                self.states[stage] = State::Looking;
                decisions.push(Decision::Look(stage));
            }
        }
        if self.states.contains(&State::Looking) {
            return decisions;
        }
        let running: Vec<usize> = self
            .states
            .iter()
            .filter_map(|state| if let State::Running(n) = state { Some(*n) } else { None })
            .collect();
        let mut free = self.threads.saturating_sub(running.iter().sum());
        let mut ready: Vec<usize> = (0..self.states.len()).filter(|&s| self.states[s] == State::Ready).collect();
        ready.sort_by_key(|&stage| (std::cmp::Reverse(self.depth[stage]), stage));
        let mut slots = ready.len().min(self.jobs.saturating_sub(running.len())).min(free);
        for stage in ready {
            if slots == 0 {
                break;
            }
            let threads = free.div_ceil(slots);
            (free, slots) = (free - threads, slots - 1);
            self.states[stage] = State::Running(threads);
            decisions.push(Decision::Start { stage, threads });
        }
        decisions
    }

    /// Nothing runs and nothing will: everything is done, failed, skipped, or held back by a failure.
    pub(super) fn is_over(&self) -> bool {
        let held = self.states.contains(&State::Failed) && !self.keep_going;
        !self.states.iter().any(|state| match state {
            State::Running(_) | State::Looking => true,
            State::Ready | State::Waiting => !held,
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scheduler(nodes: usize, edges: &[(usize, usize)], threads: usize, jobs: usize, keep_going: bool) -> Scheduler {
        let dag = Dag::from_edges(nodes, edges.iter().copied());
        Scheduler::new(dag, &vec![true; nodes], threads, jobs, keep_going)
    }

    #[test]
    fn a_lone_stage_gets_all_threads_and_two_share_them() {
        let mut s = scheduler(3, &[(0, 1), (0, 2)], 4, 8, false);
        assert_eq!(s.decide(), [Decision::Look(0)]);
        s.on(Event::Miss(0));
        assert_eq!(s.decide(), [Decision::Start { stage: 0, threads: 4 }]);
        s.on(Event::Finished(0));
        assert_eq!(s.decide(), [Decision::Look(1), Decision::Look(2)]);
        s.on(Event::Miss(1));
        assert!(s.decide().is_empty(), "not before the other lookup is answered");
        s.on(Event::Miss(2));
        assert_eq!(s.decide(), [Decision::Start { stage: 1, threads: 2 }, Decision::Start { stage: 2, threads: 2 }]);
    }

    #[test]
    fn the_longest_path_goes_first() {
        let mut s = scheduler(4, &[(1, 2), (2, 3)], 1, 1, false);
        assert_eq!(s.decide(), [Decision::Look(0), Decision::Look(1)]);
        s.on(Event::Miss(0));
        s.on(Event::Miss(1));
        assert_eq!(s.decide(), [Decision::Start { stage: 1, threads: 1 }]);
    }

    #[test]
    fn a_failure_skips_what_rests_on_it_and_stops_the_rest_unless_told_to_go_on() {
        for keep_going in [false, true] {
            let mut s = scheduler(4, &[(0, 1), (2, 3)], 2, 1, keep_going);
            s.decide();
            s.on(Event::Miss(0));
            s.on(Event::Miss(2));
            assert_eq!(s.decide(), [Decision::Start { stage: 0, threads: 2 }]);
            s.on(Event::Failed(0));
            assert_eq!(s.states()[1], State::Skipped(0));
            let next = if keep_going { vec![Decision::Start { stage: 2, threads: 2 }] } else { vec![] };
            assert_eq!(s.decide(), next);
            assert_eq!(s.is_over(), !keep_going);
        }
    }

    proptest! {
        /// Any graph, any outcome of each stage: the run ends, inputs are done before readers start, threads and
        /// jobs are never oversubscribed, and with `keep_going` every stage is done, failed or rests on a failed one.
        #[test]
        fn every_run_ends_and_keeps_its_promises(
            nodes in 1..12usize,
            raw in prop::collection::vec((0..12usize, 0..12usize), 0..30),
            outcomes in prop::collection::vec(0..4u8, 12),
            threads in 1..5usize,
            jobs in 1..4usize,
            keep_going: bool,
        ) {
            let edges: Vec<_> = raw.into_iter().map(|(a, b)| (a % nodes, b % nodes)).filter(|(a, b)| a < b).collect();
            let mut s = scheduler(nodes, &edges, threads, jobs, keep_going);
            let mut running: Vec<usize> = Vec::new();
            for _ in 0..10 * nodes {
                for decision in s.decide() {
                    match decision {
                        Decision::Look(stage) => {
                            let event = if outcomes[stage] == 0 { Event::Hit(stage) } else { Event::Miss(stage) };
                            s.on(event);
                        }
                        Decision::Start { stage, threads } => {
                            prop_assert!(threads >= 1);
                            for &(input, reader) in &edges {
                                prop_assert!(reader != stage || matches!(s.states()[input], State::Done(_)));
                            }
                            running.push(stage);
                        }
                    }
                }
                let used: usize =
                    s.states().iter().map(|state| if let State::Running(n) = state { *n } else { 0 }).sum();
                prop_assert!(used <= threads && running.len() <= jobs);
                if s.is_over() {
                    break;
                }
                if !running.is_empty() {
                    let stage = running.remove(0);
                    s.on(if outcomes[stage] == 3 { Event::Failed(stage) } else { Event::Finished(stage) });
                }
            }
            prop_assert!(s.is_over());
            if keep_going {
                for state in s.states() {
                    prop_assert!(matches!(state, State::Done(_) | State::Failed | State::Skipped(_)));
                }
            }
        }
    }
}
