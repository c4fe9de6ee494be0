//! How far stages are, and how many are how far.

use super::duty::{Duty, Role};

/// How far one stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Inputs are missing.
    Waiting,
    /// It is being looked up in the cache.
    Looking,
    /// Waits for a slot.
    Ready,
    /// A worker runs it, with this many threads.
    Running(usize),
    /// Its work is done, its record is being written.
    Settling,
    /// Done; `true` if a worker ran.
    Done(bool),
    /// Failed.
    Failed,
    /// Not tried, because this stage failed.
    Skipped(usize),
    /// It was not asked for.
    NotWanted,
}

/// How many wanted stages are in which state.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) looking: usize,
    pub(super) running: usize,
    /// Being recorded.
    pub(super) settling: usize,
    /// Threads that running stages hold.
    pub(super) used: usize,
    /// Memory that running stages are expected to need.
    pub(super) memory: u64,
    /// Neither done nor given up.
    pub(super) open: usize,
    /// Of the open ones, checks.
    pub(super) checks: usize,
    pub(super) failed: usize,
}

impl Counts {
    /// One more stage is in `state`.
    pub(super) fn enter(&mut self, state: Phase, duty: &Duty) {
        self.change(state, duty, |count| *count += 1);
        if let Phase::Running(threads) = state {
            (self.used, self.memory) = (self.used + threads, self.memory + duty.memory);
        }
    }

    /// One stage less is in `state`.
    pub(super) fn leave(&mut self, state: Phase, duty: &Duty) {
        self.change(state, duty, |count| *count -= 1);
        if let Phase::Running(threads) = state {
            (self.used, self.memory) = (self.used - threads, self.memory - duty.memory);
        }
    }

    /// Applies `change` to every number of stages that one in `state` is part of.
    fn change(&mut self, state: Phase, duty: &Duty, change: impl Fn(&mut usize)) {
        match state {
            Phase::Looking => change(&mut self.looking),
            Phase::Running(_) => change(&mut self.running),
            Phase::Settling => change(&mut self.settling),
            Phase::Failed => change(&mut self.failed),
            _ => {}
        }
        if matches!(state, Phase::Waiting | Phase::Looking | Phase::Ready | Phase::Running(_) | Phase::Settling) {
            change(&mut self.open);
            if duty.role == Role::Check {
                change(&mut self.checks);
            }
        }
    }
}
