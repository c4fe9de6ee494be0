//! Phases of stages, and the number of stages in each phase.

use super::requirements::{Requirements, Role};

/// Phase of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Inputs are missing.
    Waiting,
    /// It is being looked up in the cache.
    Looking,
    /// The remote has its output, or inputs that it needs, and they are on their way.
    Fetching,
    /// It waits for a slot.
    Ready,
    /// A worker runs it, with this many threads.
    Running(usize),
    /// A job of a batch system runs it, or waits there.
    Submitted,
    /// It is computed; its record is being written.
    Settling,
    /// Done; `true` if this run computed it.
    Done(bool),
    /// Failed.
    Failed,
    /// Skipped, because this stage failed.
    Skipped(usize),
    /// It was not requested.
    NotWanted,
}

/// Numbers of wanted stages by phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) looking: usize,
    pub(super) running: usize,
    /// Jobs of the batch system.
    pub(super) submitted: usize,
    /// Stages whose record is being written.
    pub(super) settling: usize,
    /// Threads of running stages.
    pub(super) used: usize,
    /// Expected memory of running stages in bytes.
    pub(super) memory: u64,
    /// Stages neither done, failed nor skipped.
    pub(super) open: usize,
    /// Number of open checks.
    pub(super) checks: usize,
    pub(super) failed: usize,
}

impl Counts {
    /// Counts a stage that enters `state`.
    pub(super) fn enter(&mut self, state: Phase, requirements: &Requirements) {
        self.change(state, requirements, |count| *count += 1);
        if let Phase::Running(threads) = state {
            (self.used, self.memory) = (self.used + threads, self.memory + requirements.memory);
        }
    }

    /// Uncounts a stage that leaves `state`.
    pub(super) fn leave(&mut self, state: Phase, requirements: &Requirements) {
        self.change(state, requirements, |count| *count -= 1);
        if let Phase::Running(threads) = state {
            (self.used, self.memory) = (self.used - threads, self.memory - requirements.memory);
        }
    }

    /// Applies `change` to every number of stages that one in `state` is part of.
    fn change(&mut self, state: Phase, requirements: &Requirements, change: impl Fn(&mut usize)) {
        match state {
            Phase::Looking => change(&mut self.looking),
            Phase::Running(_) => change(&mut self.running),
            Phase::Submitted => change(&mut self.submitted),
            Phase::Settling => change(&mut self.settling),
            Phase::Failed => change(&mut self.failed),
            _ => {}
        }
        if matches!(
            state,
            Phase::Waiting
                | Phase::Looking
                | Phase::Fetching
                | Phase::Ready
                | Phase::Running(_)
                | Phase::Submitted
                | Phase::Settling
        ) {
            change(&mut self.open);
            if requirements.role == Role::Check {
                change(&mut self.checks);
            }
        }
    }
}
