//! State of a stage in the cache.

use super::resolve::{self, KeyedInput, material};
use crate::cache::{Hits, Key, KeyMaterial, Record, Store};
use crate::experiment::Experiment;
use crate::stage::{Places, StageError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// State of a stage in the cache.
#[derive(Debug)]
pub enum CacheState {
    /// Its output is in the cache.
    Hit(Arc<Record>),
    /// All inputs are cached, but the output is not.
    Miss {
        /// Key of the output.
        key: Key,
        /// Key material: everything the output depends on.
        material: Box<KeyMaterial>,
    },
    /// These inputs (indices) are not computed yet, so there is no key yet: their content may turn out unchanged.
    WaitsOn(Vec<usize>),
    /// A data set or another file that it reads is missing, or differs from what the experiment says.
    Unavailable(StageError),
}

impl CacheState {
    /// The word for it in `plan`: `"cached"`, `"run"`, `"waits"` or `"missing"`.
    pub fn word(&self) -> &'static str {
        match self {
            CacheState::Hit(_) => "cached",
            CacheState::Miss { .. } => "run",
            CacheState::WaitsOn(_) => "waits",
            CacheState::Unavailable(_) => "missing",
        }
    }

    /// Looks up `stage`; `states` holds the states of its inputs.
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
                Some(CacheState::Hit(record)) => inputs.push(KeyedInput::new(
                    instance.stage.as_ref(),
                    input,
                    &experiment.instances[input.instance],
                    record,
                )),
                _ if !seen.insert(input.instance) => {}
                _ => missing.push(input.instance),
            }
        }
        if !missing.is_empty() {
            // Read its files now: not later between two stages of a run, and a missing file is reported at once.
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
