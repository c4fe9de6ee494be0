//! Explains why a stage would run or is cached.

use super::reason::{self, Reason, reasons};
use super::{CacheState, Plan, resolve};
use crate::cache::{Digest, KeyInput, KeyMaterial, LastKeys, Record, Store};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Plan {
    /// Explains why stage `index` would run or is cached, compared with its last record in this experiment.
    pub fn explain(&self, index: usize, store: &Store, last_keys: &LastKeys) -> Explanation {
        let instance = &self.experiment.instances[index];
        let last_key = last_keys.get(&instance.name);
        let last = last_key.and_then(|key| store.read_record(key));
        match &self.states[index] {
            CacheState::Hit(record) => {
                let reasons = last.filter(|last| last.key != record.key);
                let reasons = reasons.map(|last| reason::reasons(&last.material, &record.material)).unwrap_or_default();
                Explanation::Hit { record: record.clone(), reasons }
            }
            CacheState::Miss { key, material } => match last {
                None if last_key == Some(*key) => Explanation::OutputGone,
                None if last_key.is_some() => Explanation::RecordGone,
                None => Explanation::NeverRan,
                Some(last) if last.key == *key => Explanation::OutputGone,
                Some(last) => Explanation::Changed(reasons(&last.material, material)),
            },
            CacheState::WaitsOn(inputs) => {
                let known = last.map(|last| self.known_reasons(index, &last.material));
                Explanation::Waits { on: inputs.clone(), never_ran: known.is_none(), known: known.unwrap_or_default() }
            }
            CacheState::Unavailable(error) => Explanation::Unavailable(error.to_string()),
        }
    }

    /// Known changes of a stage with inputs that are not computed yet: parameters, seed, code, number and labels of
    /// inputs, and the content of the computed ones.
    fn known_reasons(&self, index: usize, last: &KeyMaterial) -> Vec<Reason> {
        let instance = &self.experiment.instances[index];
        let mut now = resolve::without_inputs(instance.into(), last.files.clone());
        let mut not_computed = BTreeSet::new();
        for input in &instance.inputs {
            let source = &self.experiment.instances[input.instance];
            let role = now.inputs.entry(input.role.to_owned()).or_default();
            let reads = instance.stage.reads(input.role);
            let content = match &self.states[input.instance] {
                CacheState::Hit(record) => record.content_for(&reads),
                _ => {
                    not_computed.insert((input.role, role.len()));
                    Digest::of(b"")
                }
            };
            let label = instance.kind.labelled.then(|| (input.label.clone(), source.seed));
            role.push(KeyInput { content, reads, label });
        }
        reason::reasons_so_far(last, &now, |role, place| !not_computed.contains(&(role, place)))
    }
}

/// Why a stage would run or is cached.
#[derive(Debug)]
pub enum Explanation {
    /// Cached.
    Hit {
        /// Its record.
        record: Arc<Record>,
        /// Changes since the last record in this experiment; empty if there are none.
        reasons: Vec<Reason>,
    },
    /// No stage of this name has finished in this cache.
    NeverRan,
    /// A stage with the same key has finished before, but its record or files are no longer in the cache.
    OutputGone,
    /// The last record of this name had another key and is no longer in the cache: nothing can be compared.
    RecordGone,
    /// It would run because of these changes.
    Changed(Vec<Reason>),
    /// It waits for inputs; their content decides whether it runs.
    Waits {
        /// Inputs that are not computed yet.
        on: Vec<usize>,
        /// There is no earlier record to compare with.
        never_ran: bool,
        /// Known changes.
        known: Vec<Reason>,
    },
    /// A data set is missing.
    Unavailable(String),
}
