//! An experiment held against a cache.

use super::{CacheState, Dag};
use crate::cache::{Hits, Store};
use crate::experiment::Experiment;
use crate::stage::Places;
use tracing::debug;

/// An experiment held against a cache.
pub struct Plan {
    /// The stages.
    pub experiment: Experiment,
    /// Who waits for whom.
    pub dag: Dag,
    /// How each stage stands, by its index in the experiment.
    pub states: Vec<CacheState>,
    /// Records that had to be read: that they would be found was not known from last time.
    pub read: usize,
}

impl Plan {
    /// Looks every stage up, inputs before those who read them. Reads files of data sets where the stat index does
    /// not know them; computes nothing else.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn new(experiment: Experiment, store: &Store, places: &Places, ahead: Option<Hits>) -> anyhow::Result<Plan> {
        let dag = Dag::of(&experiment);
        let ahead = ahead.filter(|hits| hits.experiment() == experiment.name);
        let mut hits = ahead.unwrap_or_else(|| Hits::open(store, &experiment.name));
        let mut states: Vec<Option<CacheState>> = experiment.instances.iter().map(|_| None).collect();
        for stage in dag.topological() {
            let state = CacheState::of(stage, &experiment, &states, &mut hits, store, places);
            debug!(stage = %experiment.instances[stage].name, state = state.word(), "looked up");
            states[stage] = Some(state);
        }
        store.remember_digests();
        let states: Vec<CacheState> =
            states.into_iter().map(|state| state.expect("the topological order holds every stage")).collect();
        let found = states.iter().filter(|state| matches!(state, CacheState::Hit(_))).count();
        let read = found - hits.taken();
        Ok(Plan { experiment, dag, states, read })
    }

    /// The stages that need the worker, by index.
    pub fn to_run(&self) -> Vec<usize> {
        (0..self.states.len()).filter(|&index| !matches!(self.states[index], CacheState::Hit(_))).collect()
    }
}
