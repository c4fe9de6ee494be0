//! What to do next, as a pure state machine: events in, decisions out; no threads, no clock, no I/O.

use crate::plan::Dag;
use std::collections::{BTreeMap, BTreeSet};

/// So many stages may wait for their records while others start.
const MOST_SETTLING: usize = 128;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Its inputs are there and so is its output.
    Hit(usize),
    /// Its inputs are there, its output is not.
    Miss(usize),
    /// Its work is done and its slot free, but its record is not durable yet: only the eager may read it.
    Made(usize),
    /// Its record is written.
    Finished(usize),
    /// It cannot be done.
    Failed(usize),
    /// It was lost on the way, through no fault of its own: it shall start once more.
    Again(usize),
    /// The GPU that it was to have is in use by another run: it shall start when one is free.
    GpuTaken(usize),
    /// A GPU that another run had, counted from 0, is free again.
    GpuFree(usize),
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
        /// The GPU that is its own, counted from 0, if it computes on one.
        gpu: Option<usize>,
    },
}

/// What stages share out among themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources {
    /// Threads that compute at a time.
    pub(super) threads: usize,
    /// Workers at a time.
    pub(super) jobs: usize,
    /// GPUs, each for one stage at a time.
    pub(super) gpus: usize,
    /// Bytes of memory that stages may be expected to need together; a lone one may need more.
    pub(super) memory: Option<u64>,
}

/// What a stage is to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Duty {
    /// Decides the order of starts.
    pub(super) role: Role,
    /// Whether it waits for a GPU, where there are any.
    pub(super) computes: bool,
    /// Reads its inputs within this process, and so before their records are durable.
    pub(super) eager: bool,
    /// At most so many threads.
    pub(super) threads: Option<usize>,
    /// Bytes of memory it is expected to need; 0 if nobody knows.
    pub(super) memory: u64,
    /// Seconds it is expected to take, or any other measure that all stages of a run share: what has the most before it
    /// starts first.
    pub(super) cost: f64,
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
    /// Its work is done, its record is being written.
    Settling,
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
    duties: Vec<Duty>,
    /// By cost of the longest path that begins with it, from 0 for the longest.
    urgency: Vec<usize>,
    resources: Resources,
    keep_going: bool,
    /// Inputs of each stage that it cannot read yet.
    missing: Vec<usize>,
    /// Those that the eager may read.
    made: Vec<bool>,
    /// Waiting stages with all inputs done.
    fed: BTreeSet<usize>,
    /// Ready stages that may start, best first.
    ready: BTreeSet<Rank>,
    /// Those that wait for a GPU.
    ready_for_gpu: BTreeSet<Rank>,
    /// GPUs that are nobody's, as far as this run knows.
    free_gpus: BTreeSet<usize>,
    /// The GPU of each running stage.
    gpu_of: BTreeMap<usize, usize>,
    /// Ready trainings that wait for checks.
    held: Vec<usize>,
    counts: Counts,
}

/// No check, urgency, place in the file.
type Rank = (bool, usize, usize);

/// How many wanted stages are in which state.
#[derive(Clone, Debug, Default)]
struct Counts {
    looking: usize,
    running: usize,
    /// Being recorded.
    settling: usize,
    /// Threads that running stages hold.
    used: usize,
    /// Memory that running stages are expected to need.
    memory: u64,
    /// Neither done nor given up.
    open: usize,
    /// Of the open ones, checks.
    checks: usize,
    failed: usize,
}

impl Scheduler {
    /// For the stages that `wanted` marks.
    pub(super) fn new(
        dag: Dag,
        wanted: &[bool],
        mut duties: Vec<Duty>,
        resources: Resources,
        keep_going: bool,
    ) -> Self {
        let missing: Vec<usize> = (0..dag.len()).map(|stage| dag.inputs(stage).count()).collect();
        for (duty, &missing) in duties.iter_mut().zip(&missing) {
            if duty.role == Role::Check && missing > 0 {
                duty.role = Role::Other;
            }
        }
        let mut scheduler = Scheduler {
            states: vec![State::NotWanted; dag.len()],
            urgency: urgency(&dag, &duties),
            duties,
            resources: Resources { threads: resources.threads.max(1), jobs: resources.jobs.max(1), ..resources },
            keep_going,
            made: vec![false; missing.len()],
            missing,
            fed: BTreeSet::new(),
            ready: BTreeSet::new(),
            ready_for_gpu: BTreeSet::new(),
            free_gpus: (0..resources.gpus).collect(),
            gpu_of: BTreeMap::new(),
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
            Event::Made(stage) => {
                self.set(stage, State::Settling);
                // Made a second time, after its record could not be written, it is nothing new to its readers.
                if !std::mem::replace(&mut self.made[stage], true) {
                    self.feed(stage, |reader| reader.eager);
                }
            }
            Event::Again(stage) => {
                self.set(stage, State::Ready);
                self.make_ready(stage);
            }
            Event::GpuTaken(stage) => {
                let gpu = self.gpu_of.remove(&stage);
                debug_assert!(gpu.is_some(), "only who was given a GPU can find it taken");
                self.set(stage, State::Ready);
                self.make_ready(stage);
            }
            Event::GpuFree(gpu) => drop(self.free_gpus.insert(gpu)),
            Event::Miss(stage) => {
                self.set(stage, State::Ready);
                if self.duties[stage].role == Role::Training && self.counts.checks > 0 {
                    self.held.push(stage);
                } else {
                    self.make_ready(stage);
                }
            }
            Event::Failed(stage) => {
                self.set(stage, State::Failed);
                return self.skip_readers(stage);
            }
        }
        Vec::new()
    }

    fn make_ready(&mut self, stage: usize) {
        let Duty { role, computes, .. } = self.duties[stage];
        let rank = (role != Role::Check, self.urgency[stage], stage);
        let waits_for_gpu = computes && self.resources.gpus > 0;
        (if waits_for_gpu { &mut self.ready_for_gpu } else { &mut self.ready }).insert(rank);
    }

    fn done(&mut self, stage: usize, ran: bool) {
        self.set(stage, State::Done(ran));
        let made = self.made[stage];
        self.feed(stage, |reader| !(made && reader.eager));
    }

    /// Those of its readers that `whom` names may read it from now on.
    fn feed(&mut self, stage: usize, whom: impl Fn(&Duty) -> bool) {
        for reader in self.dag.readers(stage).filter(|&reader| whom(&self.duties[reader])) {
            self.missing[reader] -= 1;
            if self.missing[reader] == 0 && self.states[reader] == State::Waiting {
                self.fed.insert(reader);
            }
        }
    }

    /// Changes a state, and with it what is counted.
    fn set(&mut self, stage: usize, state: State) {
        let duty = self.duties[stage];
        if let Some(gpu) = self.gpu_of.remove(&stage) {
            self.free_gpus.insert(gpu);
        }
        self.counts.leave(self.states[stage], &duty);
        self.counts.enter(state, &duty);
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
                self.make_ready(stage);
            }
        }
        let mut free = self.resources.threads.saturating_sub(self.counts.used);
        let may_start = self.ready.len() + self.ready_for_gpu.len().min(self.free_gpus.len());
        let jobs = self.resources.jobs.saturating_sub(self.counts.running);
        // Each that waits for its record holds files open.
        let records = MOST_SETTLING.saturating_sub(self.counts.settling);
        let mut slots = may_start.min(jobs).min(records).min(free);
        let mut decisions = Vec::new();
        while slots > 0 {
            let Some((stage, gpu)) = self.next() else { break };
            let most = self.duties[stage].threads.unwrap_or(usize::MAX).max(1);
            let threads = free.div_ceil(slots).min(most);
            (free, slots) = (free - threads, slots - 1);
            self.set(stage, State::Running(threads));
            self.gpu_of.extend(gpu.map(|gpu| (stage, gpu)));
            decisions.push(Decision::Start { stage, threads, gpu });
        }
        decisions
    }

    /// The best of the stages that may start now, and its GPU.
    fn next(&mut self) -> Option<(usize, Option<usize>)> {
        let on_gpu = self.ready_for_gpu.first().filter(|_| !self.free_gpus.is_empty());
        let takes_gpu = match (on_gpu, self.ready.first()) {
            (Some(on_gpu), Some(other)) => on_gpu < other,
            (on_gpu, _) => on_gpu.is_some(),
        };
        let from = if takes_gpu { &mut self.ready_for_gpu } else { &mut self.ready };
        let &(_, _, stage) = from.first()?;
        // Nobody is let past a stage that waits for memory: it would wait for ever.
        let fits = self.resources.memory.is_none_or(|all| self.counts.memory + self.duties[stage].memory <= all);
        if !fits && self.counts.running > 0 {
            return None;
        }
        from.pop_first();
        Some((stage, if takes_gpu { self.free_gpus.pop_first() } else { None }))
    }

    /// A failure lets nothing more start.
    fn is_stopped(&self) -> bool {
        self.counts.failed > 0 && !self.keep_going
    }

    /// Nothing runs and nothing will: everything is done, failed, skipped, or held back by a failure.
    pub(super) fn is_over(&self) -> bool {
        let Counts { looking, running, settling, open, .. } = self.counts;
        if self.is_stopped() { looking + running + settling == 0 } else { open == 0 }
    }
}

/// The rank of each stage by the cost of the longest path that begins with it.
fn urgency(dag: &Dag, duties: &[Duty]) -> Vec<usize> {
    let ahead = dag.remaining(|stage| duties[stage].cost);
    let mut order: Vec<usize> = (0..dag.len()).collect();
    order.sort_by(|&a, &b| ahead[b].total_cmp(&ahead[a]));
    let (mut urgency, mut rank) = (vec![0; dag.len()], 0);
    for pair in 0..order.len() {
        // Equals share a rank: among them the order of the file decides.
        if pair > 0 && ahead[order[pair]] < ahead[order[pair - 1]] {
            rank += 1;
        }
        urgency[order[pair]] = rank;
    }
    urgency
}

impl Counts {
    /// One more stage is in `state`.
    fn enter(&mut self, state: State, duty: &Duty) {
        self.change(state, duty, |count| *count += 1);
        if let State::Running(threads) = state {
            (self.used, self.memory) = (self.used + threads, self.memory + duty.memory);
        }
    }

    /// One stage less is in `state`.
    fn leave(&mut self, state: State, duty: &Duty) {
        self.change(state, duty, |count| *count -= 1);
        if let State::Running(threads) = state {
            (self.used, self.memory) = (self.used - threads, self.memory - duty.memory);
        }
    }

    /// Applies `change` to every number of stages that one in `state` is part of.
    fn change(&mut self, state: State, duty: &Duty, change: impl Fn(&mut usize)) {
        match state {
            State::Looking => change(&mut self.looking),
            State::Running(_) => change(&mut self.running),
            State::Settling => change(&mut self.settling),
            State::Failed => change(&mut self.failed),
            _ => {}
        }
        if matches!(state, State::Waiting | State::Looking | State::Ready | State::Running(_) | State::Settling) {
            change(&mut self.open);
            if duty.role == Role::Check {
                change(&mut self.checks);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Duty = Duty { role: Role::Other, computes: false, eager: false, threads: None, memory: 0, cost: 1.0 };

    fn resources(threads: usize, jobs: usize, gpus: usize) -> Resources {
        Resources { threads, jobs, gpus, memory: None }
    }

    fn start(stage: usize, threads: usize) -> Decision {
        Decision::Start { stage, threads, gpu: None }
    }

    fn scheduler(nodes: usize, edges: &[(usize, usize)], threads: usize, jobs: usize, keep_going: bool) -> Scheduler {
        let dag = Dag::from_edges(nodes, edges.iter().copied());
        Scheduler::new(dag, &vec![true; nodes], vec![PLAIN; nodes], resources(threads, jobs, 0), keep_going)
    }

    #[test]
    fn a_lone_stage_gets_all_threads_and_two_share_them() {
        let mut s = scheduler(3, &[(0, 1), (0, 2)], 4, 8, false);
        assert_eq!(s.decide(), [Decision::Look(0)]);
        s.on(Event::Miss(0));
        assert_eq!(s.decide(), [start(0, 4)]);
        s.on(Event::Finished(0));
        assert_eq!(s.decide(), [Decision::Look(1), Decision::Look(2)]);
        s.on(Event::Miss(1));
        assert!(s.decide().is_empty(), "not before the other lookup is answered");
        s.on(Event::Miss(2));
        assert_eq!(s.decide(), [start(1, 2), start(2, 2)]);
    }

    #[test]
    fn the_longest_path_goes_first() {
        let mut s = scheduler(4, &[(1, 2), (2, 3)], 1, 1, false);
        assert_eq!(s.decide(), [Decision::Look(0), Decision::Look(1)]);
        s.on(Event::Miss(0));
        s.on(Event::Miss(1));
        assert_eq!(s.decide(), [start(1, 1)]);
    }

    #[test]
    fn a_failure_skips_what_rests_on_it_and_stops_the_rest_unless_told_to_go_on() {
        for keep_going in [false, true] {
            let mut s = scheduler(4, &[(0, 1), (2, 3)], 2, 1, keep_going);
            s.decide();
            s.on(Event::Miss(0));
            s.on(Event::Miss(2));
            assert_eq!(s.decide(), [start(0, 2)]);
            s.on(Event::Failed(0));
            assert_eq!(s.states()[1], State::Skipped(0));
            let next = if keep_going { vec![start(2, 2)] } else { vec![] };
            assert_eq!(s.decide(), next);
            assert_eq!(s.is_over(), !keep_going);
        }
    }

    #[test]
    fn no_training_starts_before_the_last_check_has_ended() {
        // 0 (check) → 2 (training) → 3, and 1 (check) that nothing reads.
        let roles = [Role::Check, Role::Check, Role::Training, Role::Other];
        let dag = Dag::from_edges(4, [(0, 2), (2, 3)]);
        let duties = roles.map(|role| Duty { role, ..PLAIN }).to_vec();
        let mut s = Scheduler::new(dag, &[true; 4], duties, resources(2, 2, 0), true);
        s.decide();
        s.on(Event::Hit(0));
        s.on(Event::Miss(1));
        assert_eq!(s.decide(), [Decision::Look(2)]);
        s.on(Event::Miss(2));
        assert_eq!(s.decide(), [start(1, 2)], "the check, though the training is deeper");
        assert!(s.decide().is_empty() && !s.is_over());
        s.on(Event::Failed(1));
        assert_eq!(s.decide(), [start(2, 2)], "told to keep going");
    }

    #[test]
    fn a_gpu_is_one_stages_own_and_others_do_not_wait_for_it() {
        let duty = |computes| Duty { computes, ..PLAIN };
        let duties = vec![duty(true), duty(true), duty(true), duty(false)];
        let dag = Dag::from_edges(4, []);
        let mut s = Scheduler::new(dag, &[true; 4], duties, resources(8, 8, 2), true);
        s.decide();
        (0..4).for_each(|stage| drop(s.on(Event::Miss(stage))));
        let start = |stage, threads, gpu| Decision::Start { stage, threads, gpu };
        assert_eq!(s.decide(), [start(0, 3, Some(0)), start(1, 3, Some(1)), start(3, 2, None)]);
        s.on(Event::Failed(1));
        assert_eq!(s.decide(), [start(2, 3, Some(1))]);
    }

    #[test]
    fn memory_and_threads_are_kept_to_and_nobody_is_let_past_who_waits_for_memory() {
        let needs = |memory, threads| Duty { memory, threads, ..PLAIN };
        let duties = vec![needs(6, Some(1)), needs(6, None), needs(1, None), needs(20, None)];
        let all = Resources { memory: Some(10), ..resources(4, 4, 0) };
        let mut s = Scheduler::new(Dag::from_edges(4, []), &[true; 4], duties, all, true);
        s.decide();
        (0..4).for_each(|stage| drop(s.on(Event::Miss(stage))));
        assert_eq!(s.decide(), [start(0, 1)], "the next would need too much, and 2 does not overtake it");
        s.on(Event::Made(0));
        assert_eq!(s.decide(), [start(1, 2), start(2, 1)], "the slot and its memory are free before the record is");
        s.on(Event::Finished(1));
        assert!(s.decide().is_empty());
        s.on(Event::Finished(2));
        assert_eq!(s.decide(), [start(3, 4)], "a lone one may need more than there is");
        s.on(Event::Finished(3));
        assert!(!s.is_over(), "the first is not recorded yet");
        s.on(Event::Finished(0));
        assert!(s.is_over());
    }

    #[test]
    fn the_dearest_path_goes_first() {
        let costs = [1.0, 5.0, 1.0].map(|cost| Duty { cost, ..PLAIN }).to_vec();
        let mut s = Scheduler::new(Dag::from_edges(3, [(0, 2)]), &[true; 3], costs, resources(1, 1, 0), true);
        s.decide();
        s.on(Event::Miss(0));
        s.on(Event::Miss(1));
        assert_eq!(s.decide(), [start(1, 1)]);
    }

    #[test]
    fn a_gpu_that_another_run_has_is_waited_for_and_a_lost_stage_starts_again() {
        let duties = vec![Duty { computes: true, ..PLAIN }; 2];
        let mut s = Scheduler::new(Dag::from_edges(2, []), &[true; 2], duties, resources(2, 2, 1), true);
        s.decide();
        (0..2).for_each(|stage| drop(s.on(Event::Miss(stage))));
        let start = |stage| Decision::Start { stage, threads: 2, gpu: Some(0) };
        assert_eq!(s.decide(), [start(0)]);
        s.on(Event::GpuTaken(0));
        assert!(s.decide().is_empty() && !s.is_over());
        s.on(Event::GpuFree(0));
        assert_eq!(s.decide(), [start(0)]);
        s.on(Event::Again(0));
        assert_eq!(s.decide(), [start(0)]);
        // Its record cannot be written: it is made once more.
        s.on(Event::Made(0));
        s.on(Event::Again(0));
        assert_eq!(s.decide(), [start(0)]);
        s.on(Event::Finished(0));
        assert_eq!(s.decide(), [start(1)]);
    }

    #[test]
    fn what_is_made_twice_feeds_its_readers_once() {
        // 2 reads 0 and 1, within this process.
        let duties = vec![Duty { eager: true, ..PLAIN }; 3];
        let dag = Dag::from_edges(3, [(0, 2), (1, 2)]);
        let mut s = Scheduler::new(dag, &[true; 3], duties, resources(2, 2, 0), true);
        s.decide();
        (0..2).for_each(|stage| drop(s.on(Event::Miss(stage))));
        assert_eq!(s.decide(), [start(0, 1), start(1, 1)]);
        s.on(Event::Made(0));
        s.on(Event::Again(0));
        assert_eq!(s.decide(), [start(0, 1)]);
        s.on(Event::Made(0));
        s.on(Event::Finished(0));
        assert!(s.decide().is_empty(), "not before the other input");
        s.on(Event::Made(1));
        assert_eq!(s.decide(), [Decision::Look(2)]);
    }

    proptest! {
        /// Any graph, any outcome of each stage: the run ends, inputs are done before readers start, no training
        /// starts before a check has ended, threads, jobs, memory and GPUs are never oversubscribed, and with
        /// `keep_going` every stage is done, failed or rests on a failed one.
        #[test]
        fn every_run_ends_and_keeps_its_promises(
            nodes in 1..12usize,
            raw in prop::collection::vec((0..12usize, 0..12usize), 0..30),
            outcomes in prop::collection::vec(0..6u8, 12),
            kinds in prop::collection::vec(0..3u8, 12),
            needs in prop::collection::vec((0..8u64, prop::option::of(1..3usize)), 12),
            threads in 1..5usize,
            jobs in 1..4usize,
            gpus in 0..3usize,
            memory in prop::option::of(1..12u64),
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
            let computes = |stage: usize| role(stage) == Role::Training;
            let duty = |stage: usize| {
                let (memory, threads) = needs[stage];
                let eager = kinds[stage] == 2;
                Duty { role: role(stage), computes: computes(stage), eager, threads, memory, cost: memory as f64 }
            };
            let all = Resources { memory, ..resources(threads, jobs, gpus) };
            let mut s = Scheduler::new(dag, &vec![true; nodes], (0..nodes).map(duty).collect(), all, keep_going);
            let mut running: Vec<usize> = Vec::new();
            let mut settling: Vec<usize> = Vec::new();
            let mut troubled = vec![false; nodes];
            let mut gpu_of = BTreeMap::new();
            for _ in 0..20 * nodes {
                for decision in s.decide() {
                    match decision {
                        Decision::Look(stage) => {
                            let event = if outcomes[stage] == 0 { Event::Hit(stage) } else { Event::Miss(stage) };
                            s.on(event);
                        }
                        Decision::Start { stage, threads, gpu } => {
                            prop_assert!(threads >= 1 && needs[stage].1.is_none_or(|most| threads <= most));
                            prop_assert_eq!(gpu.is_some(), computes(stage) && gpus > 0);
                            if let Some(gpu) = gpu {
                                prop_assert!(gpu < gpus && gpu_of.values().all(|&other| other != gpu));
                                // Another run has it, the first time that this one is asked for.
                                if outcomes[stage] == 4 && !std::mem::replace(&mut troubled[stage], true) {
                                    s.on(Event::GpuTaken(stage));
                                    s.on(Event::GpuFree(gpu));
                                    continue;
                                }
                                gpu_of.insert(stage, gpu);
                            }
                            for check in (0..nodes).filter(|&check| role(stage) == Role::Training && is_check(check)) {
                                prop_assert!(matches!(s.states()[check], State::Done(_) | State::Failed));
                            }
                            for &(input, reader) in &edges {
                                let settling = kinds[stage] == 2 && s.states()[input] == State::Settling;
                                prop_assert!(reader != stage || settling || matches!(s.states()[input], State::Done(_)));
                            }
                            running.push(stage);
                        }
                    }
                }
                let used: usize =
                    s.states().iter().map(|state| if let State::Running(n) = state { *n } else { 0 }).sum();
                prop_assert!(used <= threads && running.len() <= jobs);
                let held: u64 = running.iter().map(|&stage| needs[stage].0).sum();
                prop_assert!(memory.is_none_or(|memory| held <= memory) || running.len() == 1);
                if s.is_over() {
                    break;
                }
                if !running.is_empty() {
                    let stage = running.remove(0);
                    gpu_of.remove(&stage);
                    match outcomes[stage] {
                        3 => drop(s.on(Event::Failed(stage))),
                        5 if !std::mem::replace(&mut troubled[stage], true) => drop(s.on(Event::Again(stage))),
                        2 => {
                            s.on(Event::Made(stage));
                            settling.push(stage);
                        }
                        _ => drop(s.on(Event::Finished(stage))),
                    }
                } else if let Some(stage) = settling.pop() {
                    s.on(Event::Finished(stage));
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
