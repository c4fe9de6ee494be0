//! What to do next, as a pure state machine: events in, decisions out; no threads, no clock, no I/O.

use crate::plan::Dag;
use std::cmp::Reverse;
use std::collections::BTreeSet;

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

/// What the order of starts depends on besides the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Looks at data from outside: no training starts before all wanted checks have ended. Reads no other stage (one
    /// that does counts as [`Role::Other`]: it could wait for a training that waits for it).
    Check,
    /// A training stage.
    Training,
    /// Anything else.
    Other,
}

/// Decides what runs when. Checks first, then longest remaining path, so that the run ends soonest; ties by order in
/// the file. Every event costs what it changes, not the number of stages.
#[derive(Clone, Debug)]
pub(super) struct Scheduler {
    dag: Dag,
    states: Vec<State>,
    roles: Vec<Role>,
    depth: Vec<usize>,
    threads: usize,
    jobs: usize,
    keep_going: bool,
    /// Inputs of each stage that are not done.
    missing: Vec<usize>,
    /// Waiting stages with all inputs done.
    fed: BTreeSet<usize>,
    /// Ready stages that may start, best first.
    ready: BTreeSet<Rank>,
    /// Ready trainings that wait for checks.
    held: Vec<usize>,
    counts: Counts,
}

/// No check, depth from the deepest, place in the file.
type Rank = (bool, Reverse<usize>, usize);

/// How many wanted stages are in which state.
#[derive(Clone, Debug, Default)]
struct Counts {
    looking: usize,
    running: usize,
    /// Threads that running stages hold.
    used: usize,
    /// Neither done nor given up.
    open: usize,
    /// Of the open ones, checks.
    checks: usize,
    failed: usize,
}

impl Scheduler {
    /// For the stages that `wanted` marks, on `threads` threads, with at most `jobs` workers at a time.
    pub(super) fn new(
        dag: Dag,
        wanted: &[bool],
        mut roles: Vec<Role>,
        threads: usize,
        jobs: usize,
        keep_going: bool,
    ) -> Self {
        let missing: Vec<usize> = (0..dag.len()).map(|stage| dag.inputs(stage).count()).collect();
        for (role, &missing) in roles.iter_mut().zip(&missing) {
            if *role == Role::Check && missing > 0 {
                *role = Role::Other;
            }
        }
        let mut scheduler = Scheduler {
            states: vec![State::NotWanted; dag.len()],
            roles,
            depth: dag.remaining_depth(),
            threads: threads.max(1),
            jobs: jobs.max(1),
            keep_going,
            missing,
            fed: BTreeSet::new(),
            ready: BTreeSet::new(),
            held: Vec::new(),
            counts: Counts::default(),
            dag,
        };
        for stage in (0..wanted.len()).filter(|&stage| wanted[stage]) {
            scheduler.set(stage, State::Waiting);
            if scheduler.missing[stage] == 0 {
                scheduler.fed.insert(stage);
            }
        }
        scheduler
    }

    /// How each stage stands.
    #[cfg(test)]
    fn states(&self) -> &[State] {
        &self.states
    }

    /// Takes note of what has happened. Returns the stages that will not be tried because of it.
    pub(super) fn on(&mut self, event: Event) -> Vec<usize> {
        match event {
            Event::Hit(stage) => self.done(stage, false),
            Event::Finished(stage) => self.done(stage, true),
            Event::Miss(stage) => {
                self.set(stage, State::Ready);
                if self.roles[stage] == Role::Training && self.counts.checks > 0 {
                    self.held.push(stage);
                } else {
                    self.ready.insert(self.rank(stage));
                }
            }
            Event::Failed(stage) => {
                self.set(stage, State::Failed);
                return self.skip_readers(stage);
            }
        }
        Vec::new()
    }

    fn rank(&self, stage: usize) -> Rank {
        (self.roles[stage] != Role::Check, Reverse(self.depth[stage]), stage)
    }

    fn done(&mut self, stage: usize, ran: bool) {
        self.set(stage, State::Done(ran));
        for reader in self.dag.readers(stage) {
            self.missing[reader] -= 1;
            if self.missing[reader] == 0 && self.states[reader] == State::Waiting {
                self.fed.insert(reader);
            }
        }
    }

    /// Changes a state, and with it what is counted.
    fn set(&mut self, stage: usize, state: State) {
        let is_check = self.roles[stage] == Role::Check;
        self.counts.of(self.states[stage], is_check, |count, n| *count -= n);
        self.counts.of(state, is_check, |count, n| *count += n);
        self.states[stage] = state;
    }

    fn skip_readers(&mut self, failed: usize) -> Vec<usize> {
        let (mut stack, mut skipped) = (vec![failed], Vec::new());
        while let Some(stage) = stack.pop() {
            for reader in self.dag.readers(stage).collect::<Vec<_>>() {
                if self.states[reader] == State::Waiting {
                    self.set(reader, State::Skipped(failed));
                    stack.push(reader);
                    skipped.push(reader);
                }
            }
        }
        skipped.sort_unstable();
        skipped
    }

    /// What to do now. Lookups come first, so that slots are shared out among all stages that are ready.
    pub(super) fn decide(&mut self) -> Vec<Decision> {
        if self.is_stopped() {
            return Vec::new();
        }
        let fed = std::mem::take(&mut self.fed);
        for &stage in &fed {
            self.set(stage, State::Looking);
        }
        if self.counts.looking > 0 {
            return fed.into_iter().map(Decision::Look).collect();
        }
        if self.counts.checks == 0 {
            for stage in std::mem::take(&mut self.held) {
                self.ready.insert(self.rank(stage));
            }
        }
        let mut free = self.threads.saturating_sub(self.counts.used);
        let mut slots = self.ready.len().min(self.jobs.saturating_sub(self.counts.running)).min(free);
        let mut decisions = Vec::new();
        while slots > 0 {
            let Some((_, _, stage)) = self.ready.pop_first() else { break };
            let threads = free.div_ceil(slots);
            (free, slots) = (free - threads, slots - 1);
            self.set(stage, State::Running(threads));
            decisions.push(Decision::Start { stage, threads });
        }
        decisions
    }

    /// A failure lets nothing more start.
    fn is_stopped(&self) -> bool {
        self.counts.failed > 0 && !self.keep_going
    }

    /// Nothing runs and nothing will: everything is done, failed, skipped, or held back by a failure.
    pub(super) fn is_over(&self) -> bool {
        let Counts { looking, running, open, .. } = self.counts;
        if self.is_stopped() { looking + running == 0 } else { open == 0 }
    }
}

impl Counts {
    /// Applies `change` to every count that a stage in `state` is part of.
    fn of(&mut self, state: State, is_check: bool, change: impl Fn(&mut usize, usize)) {
        match state {
            State::Looking => change(&mut self.looking, 1),
            State::Running(threads) => {
                change(&mut self.running, 1);
                change(&mut self.used, threads);
            }
            State::Failed => change(&mut self.failed, 1),
            _ => {}
        }
        if matches!(state, State::Waiting | State::Looking | State::Ready | State::Running(_)) {
            change(&mut self.open, 1);
            change(&mut self.checks, usize::from(is_check));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scheduler(nodes: usize, edges: &[(usize, usize)], threads: usize, jobs: usize, keep_going: bool) -> Scheduler {
        let dag = Dag::from_edges(nodes, edges.iter().copied());
        Scheduler::new(dag, &vec![true; nodes], vec![Role::Other; nodes], threads, jobs, keep_going)
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

    #[test]
    fn no_training_starts_before_the_last_check_has_ended() {
        // 0 (check) → 2 (training) → 3, and 1 (check) that nothing reads.
        let roles = vec![Role::Check, Role::Check, Role::Training, Role::Other];
        let dag = Dag::from_edges(4, [(0, 2), (2, 3)]);
        let mut s = Scheduler::new(dag, &[true; 4], roles, 2, 2, true);
        s.decide();
        s.on(Event::Hit(0));
        s.on(Event::Miss(1));
        assert_eq!(s.decide(), [Decision::Look(2)]);
        s.on(Event::Miss(2));
        assert_eq!(s.decide(), [Decision::Start { stage: 1, threads: 2 }], "the check, though the training is deeper");
        assert!(s.decide().is_empty() && !s.is_over());
        s.on(Event::Failed(1));
        assert_eq!(s.decide(), [Decision::Start { stage: 2, threads: 2 }], "told to keep going");
    }

    proptest! {
        /// Any graph, any outcome of each stage: the run ends, inputs are done before readers start, no training
        /// starts before a check has ended, threads and jobs are never oversubscribed, and with `keep_going` every
        /// stage is done, failed or rests on a failed one.
        #[test]
        fn every_run_ends_and_keeps_its_promises(
            nodes in 1..12usize,
            raw in prop::collection::vec((0..12usize, 0..12usize), 0..30),
            outcomes in prop::collection::vec(0..4u8, 12),
            kinds in prop::collection::vec(0..3u8, 12),
            threads in 1..5usize,
            jobs in 1..4usize,
            keep_going: bool,
        ) {
            let edges: Vec<_> = raw.into_iter().map(|(a, b)| (a % nodes, b % nodes)).filter(|(a, b)| a < b).collect();
            let role = |stage: usize| match kinds[stage] {
                0 => Role::Check,
                1 => Role::Training,
                _ => Role::Other,
            };
            let is_check = |stage: usize| kinds[stage] == 0 && edges.iter().all(|&(_, reader)| reader != stage);
            let dag = Dag::from_edges(nodes, edges.iter().copied());
            let roles = (0..nodes).map(role).collect();
            let mut s = Scheduler::new(dag, &vec![true; nodes], roles, threads, jobs, keep_going);
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
                            for check in (0..nodes).filter(|&check| role(stage) == Role::Training && is_check(check)) {
                                prop_assert!(matches!(s.states()[check], State::Done(_) | State::Failed));
                            }
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
