//! A plan: an experiment compared with a cache.

use super::{CacheState, Dag};
use crate::cache::{Hits, Store};
use crate::experiment::Experiment;
use crate::stage::Places;

/// An experiment compared with a cache.
pub struct Plan {
    /// The stages.
    pub experiment: Experiment,
    /// The graph of stages.
    pub dag: Dag,
    /// State of each stage, by its index in the experiment.
    pub states: Vec<CacheState>,
    /// Number of records read: hits not known from the last plan.
    pub read: usize,
}

impl Plan {
    /// Looks up every stage, inputs first. Reads only those files of data sets that the stat index does not know, and
    /// computes nothing else.
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
            states[stage] = Some(state);
        }
        store.remember_digests();
        let states: Vec<CacheState> =
            states.into_iter().map(|state| state.expect("the topological order holds every stage")).collect();
        let cached = states.iter().filter(|state| matches!(state, CacheState::Hit(_))).count();
        let read = cached - hits.taken();
        Ok(Plan { experiment, dag, states, read })
    }

    /// The names of the first of `stages`, and the number of the others.
    pub fn names(&self, stages: &[usize]) -> String {
        /// Maximum number of names.
        const MOST: usize = 3;
        let names = |stages: &[usize]| {
            stages.iter().map(|&stage| self.experiment.instances[stage].name.as_str()).collect::<Vec<_>>().join(", ")
        };
        match stages.len() {
            0..=MOST => names(stages),
            all => format!("{} and {} more", names(&stages[..MOST]), all - MOST),
        }
    }

    /// Indices of the stages that are not cached.
    pub fn to_run(&self) -> Vec<usize> {
        (0..self.states.len()).filter(|&index| !matches!(self.states[index], CacheState::Hit(_))).collect()
    }
}
