//! Runs that find all stages cached, and the list of hits for the next run.

use super::outcome::{Outcome, StageOutcome};
use crate::cache::{Gate, Hits, LastKeys, Store};
use crate::plan::{CacheState, Plan};
use std::time::Instant;

/// The outcome of a run without work: all `wanted` stages are cached, and `gate` protects them from `gc`. `None` if
/// some are not cached; the gate then stays with the caller.
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
    // Only `explain` needs the last keys, so a cache that cannot be written is no reason to stop.
    let _ = LastKeys::open(store, &plan.experiment.name).set(named);
    // Known hits need not be written again.
    if plan.read > 0 {
        remember_hits(plan, store, &stages);
    }
    let seconds = started.elapsed().as_secs_f64();
    Some(Outcome { stages, interrupted: false, ran: 0, seconds, _held: (None, gate.take()) })
}

/// Stores the hits for the next plan of this experiment: all finished stages, whether requested or not.
pub(super) fn remember_hits(plan: &Plan, store: &Store, stages: &[StageOutcome]) {
    let done = plan.states.iter().zip(stages).filter_map(|(state, outcome)| match (outcome, state) {
        (StageOutcome::Done(record), _) | (StageOutcome::NotRun, CacheState::Hit(record)) => Some(record.as_ref()),
        _ => None,
    });
    Hits::write(store, &plan.experiment.name, done);
}
