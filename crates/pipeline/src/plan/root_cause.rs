//! Root causes of a changed input: which of its files differ, and which changes upstream caused it.

use super::{CacheState, Explanation, Plan, Reason, reasons};
use crate::cache::{Digest, KeyMaterial, LastKeys, Record, Store};
use serde::Serialize;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// An input whose content changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputChange {
    /// The stage that computed it.
    pub stage: String,
    /// Its changed files; empty if the old record is no longer in the cache.
    pub files: Vec<FileChange>,
    /// The old record is no longer in the cache: neither files nor causes are known.
    pub unknown: bool,
}

/// A file of an output, old → new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Path inside the output.
    pub path: String,
    /// Before.
    pub old: Option<Digest>,
    /// Now.
    pub new: Option<Digest>,
}

/// An upstream stage with changes of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Because {
    /// Its name.
    pub stage: String,
    /// Its changes, except those of its inputs.
    pub reasons: Vec<Reason>,
    /// An explanation where nothing can be compared.
    pub note: Option<&'static str>,
}

/// Root causes of a plan's changes. Reads all records when the first one is needed.
pub struct RootCauses<'a> {
    plan: &'a Plan,
    store: &'a Store,
    last_keys: &'a LastKeys,
    records: OnceCell<Vec<Record>>,
}

/// Maximum number of causes: nobody reads more.
const MOST: usize = 1000;

impl<'a> RootCauses<'a> {
    /// Root causes for the stages that `plan` has to run.
    pub fn new(plan: &'a Plan, store: &'a Store, last_keys: &'a LastKeys) -> Self {
        RootCauses { plan, store, last_keys, records: OnceCell::new() }
    }

    fn name(&self, stage: usize) -> String {
        self.plan.experiment.instances[stage].name.clone()
    }

    /// For `stage`, whose key changed because of `changed`: the changed files of its inputs, and their root causes,
    /// upstream stages first.
    pub fn of_inputs(&self, stage: usize, changed: &[Reason]) -> (Vec<InputChange>, Vec<Because>) {
        let (mut inputs, mut causes) = (Vec::new(), BTreeMap::new());
        for ChangedInput { instance: input, reads, old, new } in self.changed_inputs(stage, changed) {
            let Some(record) = self.record_of(old, &reads, input) else {
                inputs.push(InputChange { stage: self.name(input), files: Vec::new(), unknown: true });
                continue;
            };
            inputs.push(InputChange { stage: self.name(input), files: differing(record, new, &reads), unknown: false });
            self.descend(input, &record.material, &mut causes);
        }
        (inputs, causes.into_values().collect())
    }

    /// Adds to `causes`, by index in the experiment, why `stage` differs from `old`.
    fn descend(&self, stage: usize, old: &KeyMaterial, causes: &mut BTreeMap<usize, Because>) {
        let CacheState::Hit(new) = &self.plan.states[stage] else { return };
        if causes.contains_key(&stage) || causes.len() >= MOST {
            return;
        }
        let changed = reasons(old, &new.material);
        let own: Vec<Reason> =
            changed.iter().filter(|reason| !matches!(reason, Reason::Input { .. })).cloned().collect();
        let note = changed.is_empty().then_some("was recomputed, and its output differs");
        if !own.is_empty() || note.is_some() {
            causes.insert(stage, Because { stage: self.name(stage), reasons: own, note });
        }
        for ChangedInput { instance: input, reads, old, .. } in self.changed_inputs(stage, &changed) {
            if let Some(record) = self.record_of(old, &reads, input) {
                self.descend(input, &record.material, causes);
            }
        }
    }

    /// The computed inputs among `changed`.
    fn changed_inputs(&self, stage: usize, changed: &[Reason]) -> Vec<ChangedInput<'a>> {
        let plan = self.plan;
        let instance = &plan.experiment.instances[stage];
        let changed_inputs = changed.iter().filter_map(|reason| {
            let Reason::Input { role, place, old_content: Some(old), new_content: Some(new), .. } = reason else {
                return None;
            };
            let mut of_role = instance.inputs.iter().filter(|input| input.role == role);
            let input = of_role.nth(place.unwrap_or(0))?.instance;
            let CacheState::Hit(record) = &plan.states[input] else { return None };
            let reads = instance.stage.reads(role);
            (old != new).then_some(ChangedInput { instance: input, reads, old: *old, new: record.as_ref() })
        });
        changed_inputs.collect()
    }

    /// The record with `content` in the files `reads` that is most similar to `stage` now.
    fn record_of(&self, content: Digest, reads: &[String], stage: usize) -> Option<&Record> {
        let records = self.records.get_or_init(|| self.store.records().unwrap_or_default());
        let CacheState::Hit(now) = &self.plan.states[stage] else { return None };
        let same_kind = records.iter().filter(|record| record.material.kind == now.material.kind);
        let same_content = same_kind.filter(|record| record.content_for(reads) == content);
        same_content.min_by_key(|record| (reasons(&record.material, &now.material).len(), record.key))
    }

    /// For `stage`, which waits for inputs: the changed stages upstream, inputs first.
    pub fn of_waiting(&self, stage: usize) -> Vec<Because> {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![stage]);
        while let Some(stage) = waiting.pop() {
            if let CacheState::WaitsOn(inputs) = &self.plan.states[stage] {
                waiting.extend(inputs.iter().copied().filter(|&input| seen.insert(input)));
            }
        }
        let because = |stage: usize| {
            let (reasons, note) = match self.plan.explain(stage, self.store, self.last_keys) {
                Explanation::Hit { .. } => return None,
                Explanation::NeverRan => (Vec::new(), Some("has never run")),
                Explanation::OutputGone => (Vec::new(), Some("its files are no longer in the cache")),
                Explanation::RecordGone => (Vec::new(), Some("its last record is no longer in the cache")),
                Explanation::Unavailable(_) => (Vec::new(), Some("its data set is missing")),
                Explanation::Changed(reasons) => (reasons, None),
                Explanation::Waits { known, .. } if known.is_empty() => return None,
                Explanation::Waits { known, .. } => (known, None),
            };
            Some(Because { stage: self.name(stage), reasons, note })
        };
        seen.into_iter().take(MOST).filter_map(because).collect()
    }
}

/// A computed input whose content changed.
struct ChangedInput<'a> {
    /// Its index in the experiment.
    instance: usize,
    /// The files of it that are read; empty: all.
    reads: Vec<String>,
    /// The content of these files before.
    old: Digest,
    /// Its record now.
    new: &'a Record,
}

/// The files that differ, among `reads` (all if that is empty).
fn differing(old: &Record, new: &Record, reads: &[String]) -> Vec<FileChange> {
    let by_path = |record: &Record| -> BTreeMap<String, Digest> {
        let read = record.outputs.iter().filter(|output| reads.is_empty() || reads.contains(&output.path));
        read.map(|output| (output.path.clone(), output.digest)).collect()
    };
    let (old, new) = (by_path(old), by_path(new));
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = paths.into_iter().map(|path| FileChange {
        path: path.clone(),
        old: old.get(path).copied(),
        new: new.get(path).copied(),
    });
    changes.filter(|change| change.old != change.new).collect()
}
