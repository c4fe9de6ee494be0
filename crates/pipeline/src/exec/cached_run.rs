//! Runs that find everything cached, and what the next run will find without reading it.

use super::outcome::{Outcome, StageOutcome};
use crate::cache::{Gate, Hits, LastKeys, Store};
use crate::plan::{CacheState, Plan};
use std::time::Instant;

/// The outcome of a run that has nothing to do: all `wanted` stages are cached, and `gate` holds them for it. `None` if some
/// are not; the gate then stays with the caller.
pub fn all_cached(plan: &Plan, store: &Store, wanted: &[bool], gate: &mut Option<Gate>) -> Option<Outcome> {
    let started = Instant::now();
    let outcome = |(state, wanted): (&CacheState, &bool)| match (wanted, state) {
        (false, _) => Some(StageOutcome::NotRun),
        (true, CacheState::Hit(record)) => Some(StageOutcome::Done(record.clone())),
        (true, _) => None,
    };
    let stages = plan.states.iter().zip(wanted).map(outcome).collect::<Option<Vec<_>>>()?;
    let named = plan.experiment.instances.iter().zip(&stages).filter_map(|(instance, outcome)| match outcome {
        StageOutcome::Done(record) => Some((instance.name.clone(), record.key)),
        _ => None,
    });
    // `explain` is the only one that would miss them, and a cache that cannot be written is no reason to stop.
    let _ = LastKeys::open(store, &plan.experiment.name).set(named);
    // Those that are known already are not written again each time.
    if plan.read > 0 {
        remember_hits(plan, store, &stages);
    }
    let seconds = started.elapsed().as_secs_f64();
    Some(Outcome { stages, interrupted: false, ran: 0, seconds, _held: (None, gate.take()) })
}

/// What the next plan of this experiment will find without reading it: all that is done, asked for or not.
pub(super) fn remember_hits(plan: &Plan, store: &Store, stages: &[StageOutcome]) {
    let done = plan.states.iter().zip(stages).filter_map(|(state, outcome)| match (outcome, state) {
        (StageOutcome::Done(record), _) | (StageOutcome::NotRun, CacheState::Hit(record)) => Some(record.as_ref()),
        _ => None,
    });
    Hits::write(store, &plan.experiment.name, done);
}
