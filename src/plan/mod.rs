//! What would run: the DAG, each stage's key in topological order, hit or miss, and why.

mod dag;
mod data_set;
mod drawing;
mod findings;
mod flows;
mod forecast;
mod makespan;
mod reason;
mod resolve;
mod root_cause;
mod trace;

pub use dag::Dag;
pub use data_set::{DataSet, data_set, data_sets};
pub use drawing::drawing;
pub use findings::{Finding, Findings};
pub use flows::{Flow, Flows, How, Side};
pub use forecast::{Expected, Forecast, Total, unknown_kinds};
pub use makespan::makespan;
pub use reason::{Reason, reasons};
pub use resolve::{KeyedInput, KeyedStage, ResolvedInput, material};
pub use root_cause::{Because, FileChange, InputChange, RootCauses};
pub use trace::{DataFiles, Sample, StageTrace, Trace, cell, describe, point};

use crate::cache::{Digest, Hits, Key, KeyInput, KeyMaterial, LastKeys, Record, Store};
use crate::experiment::Experiment;
use crate::stage::{Places, StageError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An experiment held against a cache.
pub struct Plan {
    /// The stages.
    pub experiment: Experiment,
    /// Who waits for whom.
    pub dag: Dag,
    /// How each stage stands, by its index in the experiment.
    pub states: Vec<State>,
    /// Records that had to be read: that they would be found was not known from last time.
    pub read: usize,
}

/// How one stage stands.
#[derive(Debug)]
pub enum State {
    /// Finished before, by whomever.
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

impl State {
    /// `"cached"`, `"run"`, `"waits"`, `"missing"`: what `plan` calls it.
    pub fn word(&self) -> &'static str {
        match self {
            State::Hit(_) => "cached",
            State::Miss { .. } => "run",
            State::WaitsOn(_) => "waits",
            State::Unavailable(_) => "missing",
        }
    }

    /// Looks `stage` up; `states` has those of all its inputs.
    fn of(
        stage: usize,
        experiment: &Experiment,
        states: &[Option<State>],
        hits: &mut Hits,
        store: &Store,
        places: &Places,
    ) -> State {
        let instance = &experiment.instances[stage];
        let (mut missing, mut seen) = (Vec::new(), BTreeSet::new());
        let mut inputs = Vec::new();
        for input in &instance.inputs {
            match &states[input.instance] {
                Some(State::Hit(record)) => {
                    inputs.push(KeyedInput::new(input, &experiment.instances[input.instance], record))
                }
                _ if !seen.insert(input.instance) => {}
                _ => missing.push(input.instance),
            }
        }
        if !missing.is_empty() {
            // Its files are read now, not between two stages of a run; and that one is missing is known at once.
            return match resolve::files(instance.stage.as_ref(), store, places) {
                Err(error) => State::Unavailable(error),
                Ok(_) => State::WaitsOn(missing),
            };
        }
        match material(instance.into(), inputs, store, places) {
            Err(error) => State::Unavailable(error),
            Ok(material) => {
                let key = material.key();
                match hits.take(key, Box::new(material)).or_else(|material| store.find_made_of(key, material)) {
                    Ok(record) => State::Hit(Arc::new(record)),
                    Err(material) => State::Miss { key, material },
                }
            }
        }
    }
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
        let mut states: Vec<Option<State>> = experiment.instances.iter().map(|_| None).collect();
        for stage in dag.topological() {
            let state = State::of(stage, &experiment, &states, &mut hits, store, places);
            states[stage] = Some(state);
        }
        store.remember_digests();
        let states: Vec<State> =
            states.into_iter().map(|state| state.expect("the topological order holds every stage")).collect();
        let found = states.iter().filter(|state| matches!(state, State::Hit(_))).count();
        let read = found - hits.taken();
        Ok(Plan { experiment, dag, states, read })
    }

    /// The stages that need the worker, by index.
    pub fn to_run(&self) -> Vec<usize> {
        (0..self.states.len()).filter(|&index| !matches!(self.states[index], State::Hit(_))).collect()
    }

    /// Why `index` would run or would not, against what the experiment had last.
    pub fn explain(&self, index: usize, store: &Store, last_keys: &LastKeys) -> Explanation {
        let instance = &self.experiment.instances[index];
        let last_key = last_keys.get(&instance.name);
        let last = last_key.and_then(|key| store.read_record(key));
        match &self.states[index] {
            State::Hit(record) => {
                let reasons = last.filter(|last| last.key != record.key);
                let reasons = reasons.map(|last| reason::reasons(&last.material, &record.material)).unwrap_or_default();
                Explanation::Hit { record: record.clone(), reasons }
            }
            State::Miss { key, material } => match last {
                None if last_key == Some(*key) => Explanation::OutputGone,
                None if last_key.is_some() => Explanation::RecordGone,
                None => Explanation::NeverRan,
                Some(last) if last.key == *key => Explanation::OutputGone,
                Some(last) => Explanation::Changed(reasons(&last.material, material)),
            },
            State::WaitsOn(inputs) => {
                let known = last.map(|last| self.known_reasons(index, &last.material));
                Explanation::Waits { on: inputs.clone(), never_ran: known.is_none(), known: known.unwrap_or_default() }
            }
            State::Unavailable(error) => Explanation::Unavailable(error.to_string()),
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
                State::Hit(record) => record.content,
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
