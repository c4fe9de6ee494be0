//! Why a stage would run, or would not.

use super::reason::{self, Reason, reasons};
use super::{CacheState, Plan, resolve};
use crate::cache::{Digest, KeyInput, KeyMaterial, LastKeys, Record, Store};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Plan {
    /// Why `index` would run or would not, against what the experiment had last.
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

    /// What of a stage has changed for certain, though inputs of it are not made yet: parameters, seed, code, the
    /// number and labels of inputs, and the content of those that are made.
    fn known_reasons(&self, index: usize, last: &KeyMaterial) -> Vec<Reason> {
        let instance = &self.experiment.instances[index];
        let mut now = resolve::without_inputs(instance.into(), last.files.clone());
        let mut unmade = BTreeSet::new();
        for input in &instance.inputs {
            let source = &self.experiment.instances[input.instance];
            let role = now.inputs.entry(input.role.to_owned()).or_default();
            let content = match &self.states[input.instance] {
                CacheState::Hit(record) => record.content,
                _ => {
                    unmade.insert((input.role, role.len()));
                    Digest::of(b"")
                }
            };
            role.push(KeyInput { content, label: instance.kind.labelled.then(|| (input.label.clone(), source.seed)) });
        }
        reason::reasons_so_far(last, &now, |role, place| !unmade.contains(&(role, place)))
    }
}

/// The answer of `explain`.
#[derive(Debug)]
pub enum Explanation {
    /// Cached; with what changed since this experiment last used it, if it did.
    Hit {
        /// Where it comes from.
        record: Arc<Record>,
        /// Old → new, empty where nothing changed.
        reasons: Vec<Reason>,
    },
    /// Nothing of this name has finished in this cache.
    NeverRan,
    /// The same key has finished before, but its record or files are gone.
    OutputGone,
    /// Another key of this name has finished before, but its record is gone: there is nothing to compare with.
    RecordGone,
    /// It would run because of these.
    Changed(Vec<Reason>),
    /// Inputs come first; their content decides.
    Waits {
        /// Inputs that are not made yet.
        on: Vec<usize>,
        /// There is nothing to compare with.
        never_ran: bool,
        /// What has changed for certain.
        known: Vec<Reason>,
    },
    /// A data set is not there.
    Unavailable(String),
}
