//! What the cache has of one stage.

use super::resolve::{self, KeyedInput, material};
use crate::cache::{Hits, Key, KeyMaterial, Record, Store};
use crate::experiment::Experiment;
use crate::stage::{Places, StageError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the cache has of one stage.
#[derive(Debug)]
pub enum CacheState {
    /// Its output is in the cache.
    Hit(Arc<Record>),
    /// All inputs are there; this is what it would make.
    Miss {
        /// Where the output will be found.
        key: Key,
        /// What it depends on.
        material: Box<KeyMaterial>,
    },
    /// These inputs (indices) are not made yet, so there is no key yet: their content may turn out unchanged.
    WaitsOn(Vec<usize>),
    /// A data set, or another file that it reads, is not there or not as the experiment says.
    Unavailable(StageError),
}

impl CacheState {
    /// `"cached"`, `"run"`, `"waits"`, `"missing"`: what `plan` calls it.
    pub fn word(&self) -> &'static str {
        match self {
            CacheState::Hit(_) => "cached",
            CacheState::Miss { .. } => "run",
            CacheState::WaitsOn(_) => "waits",
            CacheState::Unavailable(_) => "missing",
        }
    }

    /// Looks `stage` up; `states` has those of all its inputs.
    pub(super) fn of(
        stage: usize,
        experiment: &Experiment,
        states: &[Option<CacheState>],
        hits: &mut Hits,
        store: &Store,
        places: &Places,
    ) -> CacheState {
        let instance = &experiment.instances[stage];
        let (mut missing, mut seen) = (Vec::new(), BTreeSet::new());
        let mut inputs = Vec::new();
        for input in &instance.inputs {
            match &states[input.instance] {
                Some(CacheState::Hit(record)) => {
                    inputs.push(KeyedInput::new(input, &experiment.instances[input.instance], record))
                }
                _ if !seen.insert(input.instance) => {}
                _ => missing.push(input.instance),
            }
        }
        if !missing.is_empty() {
            // Its files are read now, not between two stages of a run; and that one is missing is known at once.
            return match resolve::files(instance.stage.as_ref(), store, places) {
                Err(error) => CacheState::Unavailable(error),
                Ok(_) => CacheState::WaitsOn(missing),
            };
        }
        match material(instance.into(), inputs, store, places) {
            Err(error) => CacheState::Unavailable(error),
            Ok(material) => {
                let key = material.key();
                match hits.take(key, Box::new(material)).or_else(|material| store.find_made_of(key, material)) {
                    Ok(record) => CacheState::Hit(Arc::new(record)),
                    Err(material) => CacheState::Miss { key, material },
                }
            }
        }
    }
}
