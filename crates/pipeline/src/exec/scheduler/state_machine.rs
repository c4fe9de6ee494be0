//! The state machine.

use super::counts::{Counts, Phase};
use super::{Decision, Event, Requirements, Resources, Role};
use crate::plan::Dag;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of stages awaiting a durable record while others start.
const MOST_SETTLING: usize = 128;

/// Decides when each stage runs. Checks come first, then the longest remaining path, so that the run ends soonest; ties
/// by order in the file. The cost of an event depends on what it changes, not on the number of stages.
#[derive(Clone, Debug)]
pub(in crate::exec) struct Scheduler {
    dag: Dag,
    states: Vec<Phase>,
    requirements: Vec<Requirements>,
    /// Rank of each stage by the cost of the longest path that begins with it; 0: the longest.
    urgency: Vec<usize>,
    resources: Resources,
    keep_going: bool,
    /// Number of inputs of each stage that it cannot read yet.
    missing: Vec<usize>,
    /// Whether eager stages may read each stage.
    computed: Vec<bool>,
    /// Waiting stages with all inputs done.
    unblocked: BTreeSet<usize>,
    /// Ready stages that may start, best first.
    ready: BTreeSet<Rank>,
    /// Ready stages that need a GPU, best first.
    ready_for_gpu: BTreeSet<Rank>,
    /// Ready stages that become jobs of the batch system, best first.
    ready_to_submit: BTreeSet<Rank>,
    /// GPUs that are free as far as this run knows.
    free_gpus: BTreeSet<usize>,
    /// The GPU of each running stage.
    gpu_of: BTreeMap<usize, usize>,
    /// Ready trainings that wait for checks.
    held: Vec<usize>,
    counts: Counts,
}

/// Sort key: whether it is no check, urgency, position in the file.
type Rank = (bool, usize, usize);

impl Scheduler {
    /// For the stages that `wanted` marks.
    pub(in crate::exec) fn new(
        dag: Dag,
        wanted: &[bool],
        mut requirements: Vec<Requirements>,
        resources: Resources,
        keep_going: bool,
    ) -> Self {
        let missing: Vec<usize> = (0..dag.len()).map(|stage| dag.inputs(stage).count()).collect();
        for (of_stage, &missing) in requirements.iter_mut().zip(&missing) {
            if of_stage.role == Role::Check && missing > 0 {
                of_stage.role = Role::Other;
            }
        }
        let mut scheduler = Scheduler {
            states: vec![Phase::NotWanted; dag.len()],
            urgency: urgency(&dag, &requirements),
            requirements,
            resources: Resources { threads: resources.threads.max(1), jobs: resources.jobs.max(1), ..resources },
            keep_going,
            computed: vec![false; missing.len()],
            missing,
            unblocked: BTreeSet::new(),
            ready: BTreeSet::new(),
            ready_for_gpu: BTreeSet::new(),
            ready_to_submit: BTreeSet::new(),
            free_gpus: (0..resources.gpus).collect(),
            gpu_of: BTreeMap::new(),
            held: Vec::new(),
            counts: Counts::default(),
            dag,
        };
        for stage in (0..wanted.len()).filter(|&stage| wanted[stage]) {
            scheduler.set(stage, Phase::Waiting);
            if scheduler.missing[stage] == 0 {
                scheduler.unblocked.insert(stage);
            }
        }
        scheduler
    }

    /// Phase of each stage.
    #[cfg(test)]
    pub(super) fn states(&self) -> &[Phase] {
        &self.states
    }

    /// Handles an event. Returns the stages that are skipped because of it.
    pub(in crate::exec) fn on(&mut self, event: Event) -> Vec<usize> {
        match event {
            Event::Hit(stage) => self.done(stage, false),
            Event::Finished(stage) => self.done(stage, true),
            Event::Fetching(stage) => self.set(stage, Phase::Fetching),
            Event::Computed(stage) => {
                self.set(stage, Phase::Settling);
                // Computed again after its record could not be written: its readers already know of it.
                if !std::mem::replace(&mut self.computed[stage], true) {
                    self.unblock(stage, |reader| reader.eager);
                }
            }
            Event::Again(stage) => {
                self.set(stage, Phase::Ready);
                self.make_ready(stage);
            }
            Event::GpuTaken(stage) => {
                let gpu = self.gpu_of.remove(&stage);
                debug_assert!(gpu.is_some(), "only a stage with a GPU can find it taken");
                self.set(stage, Phase::Ready);
                self.make_ready(stage);
            }
            Event::GpuFree(gpu) => drop(self.free_gpus.insert(gpu)),
            Event::Withdrawn(stage) => {
                self.set(stage, Phase::Ready);
                self.make_ready(stage);
            }
            Event::Miss(stage) => {
                self.set(stage, Phase::Ready);
                if self.requirements[stage].role == Role::Training && self.counts.checks > 0 {
                    self.held.push(stage);
                } else {
                    self.make_ready(stage);
                }
            }
            Event::Failed(stage) => {
                self.set(stage, Phase::Failed);
                return self.skip_readers(stage);
            }
        }
        Vec::new()
    }

    /// Whether all checks have ended, all lookups are answered, and trainings may start.
    pub(in crate::exec) fn is_checked(&self) -> bool {
        self.counts.checks == 0 && self.counts.looking == 0 && !self.is_stopped()
    }

    /// Whether `stage` is wanted and has not started yet.
    pub(in crate::exec) fn is_to_start(&self, stage: usize) -> bool {
        matches!(self.states[stage], Phase::Waiting | Phase::Ready)
    }

    /// Marks `stages`, none of which has started, as failed. Returns the stages that are skipped because of them, each
    /// with the stage that it is skipped for.
    pub(in crate::exec) fn refuse(&mut self, stages: &[usize]) -> Vec<(usize, usize)> {
        for &stage in stages {
            debug_assert!(self.is_to_start(stage), "a stage that runs is not refused");
            self.unblocked.remove(&stage);
            self.held.retain(|&held| held != stage);
            self.ready.retain(|&(_, _, ready)| ready != stage);
            self.ready_for_gpu.retain(|&(_, _, ready)| ready != stage);
            self.ready_to_submit.retain(|&(_, _, ready)| ready != stage);
            self.set(stage, Phase::Failed);
        }
        let skipped = stages.iter().map(|&stage| (stage, self.skip_readers(stage))).collect::<Vec<_>>();
        skipped.into_iter().flat_map(|(stage, skipped)| skipped.into_iter().map(move |other| (other, stage))).collect()
    }

    fn make_ready(&mut self, stage: usize) {
        let Requirements { role, computes, is_submitted, .. } = self.requirements[stage];
        let rank = (role != Role::Check, self.urgency[stage], stage);
        let waits_for_gpu = computes && self.resources.gpus > 0;
        let ready = match (is_submitted, waits_for_gpu) {
            (true, _) => &mut self.ready_to_submit,
            (_, true) => &mut self.ready_for_gpu,
            _ => &mut self.ready,
        };
        ready.insert(rank);
    }

    fn done(&mut self, stage: usize, ran: bool) {
        self.set(stage, Phase::Done(ran));
        let computed = self.computed[stage];
        self.unblock(stage, |reader| !(computed && reader.eager));
    }

    /// From now on the readers that `selects` accepts may read `stage`.
    fn unblock(&mut self, stage: usize, selects: impl Fn(&Requirements) -> bool) {
        for reader in self.dag.readers(stage).filter(|&reader| selects(&self.requirements[reader])) {
            self.missing[reader] -= 1;
            if self.missing[reader] == 0 && self.states[reader] == Phase::Waiting {
                self.unblocked.insert(reader);
            }
        }
    }

    /// Changes the phase of a stage, and the counts.
    fn set(&mut self, stage: usize, state: Phase) {
        let requirements = self.requirements[stage];
        if let Some(gpu) = self.gpu_of.remove(&stage) {
            self.free_gpus.insert(gpu);
        }
        self.counts.leave(self.states[stage], &requirements);
        self.counts.enter(state, &requirements);
        self.states[stage] = state;
    }

    fn skip_readers(&mut self, failed: usize) -> Vec<usize> {
        let (mut stack, mut skipped) = (vec![failed], Vec::new());
        while let Some(stage) = stack.pop() {
            for reader in self.dag.readers(stage).collect::<Vec<_>>() {
                if self.states[reader] == Phase::Waiting {
                    self.set(reader, Phase::Skipped(failed));
                    stack.push(reader);
                    skipped.push(reader);
                }
            }
        }
        skipped.sort_unstable();
        skipped
    }

    /// The next decisions. Lookups come first, so that slots are shared among all ready stages.
    pub(in crate::exec) fn decide(&mut self) -> Vec<Decision> {
        if self.is_stopped() {
            return Vec::new();
        }
        let unblocked = std::mem::take(&mut self.unblocked);
        for &stage in &unblocked {
            self.set(stage, Phase::Looking);
        }
        if self.counts.looking > 0 {
            return unblocked.into_iter().map(Decision::Look).collect();
        }
        if self.counts.checks == 0 {
            for stage in std::mem::take(&mut self.held) {
                self.make_ready(stage);
            }
        }
        let mut free = self.resources.threads.saturating_sub(self.counts.used);
        let may_start = self.ready.len() + self.ready_for_gpu.len().min(self.free_gpus.len());
        let jobs = self.resources.jobs.saturating_sub(self.counts.running);
        // Each stage that waits for its record holds files open.
        let records = MOST_SETTLING.saturating_sub(self.counts.settling);
        let mut slots = may_start.min(jobs).min(records).min(free);
        let mut decisions = Vec::new();
        while slots > 0 {
            let Some((stage, gpu)) = self.next() else { break };
            let most = self.requirements[stage].threads.unwrap_or(usize::MAX).max(1);
            let threads = free.div_ceil(slots).min(most);
            (free, slots) = (free - threads, slots - 1);
            self.set(stage, Phase::Running(threads));
            self.gpu_of.extend(gpu.map(|gpu| (stage, gpu)));
            decisions.push(Decision::Start { stage, threads, gpu });
        }
        while self.counts.submitted < self.resources.submitted {
            let Some((_, _, stage)) = self.ready_to_submit.pop_first() else { break };
            self.set(stage, Phase::Submitted);
            decisions.push(Decision::Submit(stage));
        }
        decisions
    }

    /// The best stage that may start now, and its GPU.
    fn next(&mut self) -> Option<(usize, Option<usize>)> {
        let on_gpu = self.ready_for_gpu.first().filter(|_| !self.free_gpus.is_empty());
        let takes_gpu = match (on_gpu, self.ready.first()) {
            (Some(on_gpu), Some(other)) => on_gpu < other,
            (on_gpu, _) => on_gpu.is_some(),
        };
        let from = if takes_gpu { &mut self.ready_for_gpu } else { &mut self.ready };
        let &(_, _, stage) = from.first()?;
        // No overtaking, so that a stage that needs much memory is not starved.
        let fits = self.resources.memory.is_none_or(|all| self.counts.memory + self.requirements[stage].memory <= all);
        if !fits && self.counts.running > 0 {
            return None;
        }
        from.pop_first();
        Some((stage, if takes_gpu { self.free_gpus.pop_first() } else { None }))
    }

    /// Whether a failure prevents further starts.
    pub(in crate::exec) fn is_stopped(&self) -> bool {
        self.counts.failed > 0 && !self.keep_going
    }

    /// Whether no stage runs or will run: each is done, failed, skipped, or held back by a failure.
    pub(in crate::exec) fn is_over(&self) -> bool {
        let Counts { looking, running, submitted, settling, open, .. } = self.counts;
        if self.is_stopped() { looking + running + submitted + settling == 0 } else { open == 0 }
    }
}

/// The rank of each stage by the cost of the longest path that begins with it.
fn urgency(dag: &Dag, requirements: &[Requirements]) -> Vec<usize> {
    let ahead = dag.remaining(|stage| requirements[stage].cost);
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
