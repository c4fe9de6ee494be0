//! Which images an experiment trains on before it scores which others, by the edges between its stages.

use super::Counter;
use super::sets::Set;
use crate::data::leaks::{self, Leak, Sample};
use crate::data::patches::Use;
use crate::data::{DataError, Split};
use crate::plan::Plan;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Images of one split of one data set (the index of its stage).
pub(super) type Side = (usize, Split);

/// (trained on, scored on) → how.
pub(super) struct Flows(BTreeMap<(Side, Side), BTreeSet<&'static str>>);

/// A leak, and the images it is between.
pub(super) struct Found<'a> {
    pub(super) scored: (&'a Set, Sample<'a>),
    pub(super) trained: (&'a Set, Sample<'a>),
    pub(super) how: String,
    pub(super) leak: Leak,
}

impl Flows {
    /// A stage that scores (`evaluate`, and `finetune` where it chooses its epoch) against all that it rests on. Training
    /// images and those that a model is scored on must not meet in any data set, whatever the stages.
    pub(super) fn of(plan: &Plan) -> Flows {
        let instances = &plan.experiment.instances;
        let data =
            |stage: usize| instances[stage].inputs.iter().find(|input| input.role == "dataset").map(|i| i.instance);
        let param = |stage: usize, name: &str| instances[stage].params.get(name).cloned().unwrap_or_default();
        let mut flows = Flows(BTreeMap::new());
        for (set, _) in instances.iter().enumerate().filter(|(_, i)| matches!(i.kind, "dataset" | "synthesize")) {
            flows.add((set, Split::Train), (set, Split::Val), "training");
            flows.add((set, Split::Train), (set, Split::Test), "training");
            flows.add((set, Split::Val), (set, Split::Test), "choice of the epoch");
        }
        for (stage, instance) in instances.iter().enumerate() {
            let splits = match instance.kind {
                "evaluate" => Split::deserialize(param(stage, "split")).into_iter().collect(),
                "finetune" => match param(stage, "select_on").as_str() {
                    Some("test") => vec![Split::Test],
                    _ => vec![Split::Val],
                },
                _ => continue,
            };
            let Some(scored) = data(stage) else { continue };
            let below = plan.dag.with_ancestors(&[stage]);
            for below in (0..instances.len()).filter(|&i| below[i]) {
                let Some(source) = data(below) else { continue };
                let (used, how): (&[Split], _) = match instances[below].kind {
                    "patchify" => (Use::deserialize(param(below, "use")).map_or(&[], Use::splits), "pretraining"),
                    "finetune" => (&[Split::Train], "training"),
                    _ => continue,
                };
                for &used in used {
                    for &split in &splits {
                        flows.add((source, used), (scored, split), how);
                    }
                }
            }
        }
        flows
    }

    fn add(&mut self, trained: Side, scored: Side, how: &'static str) {
        if trained != scored {
            self.0.entry((trained, scored)).or_default().insert(how);
        }
    }

    /// (trained on, scored on, how), in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Side, Side, String)> + '_ {
        self.0.iter().map(|(&(trained, scored), how)| (trained, scored, words(how)))
    }

    /// All leaks between images of the data sets that were found.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub(super) fn leaks<'a>(&self, sets: &'a [Set], counter: &Counter) -> Result<Vec<Found<'a>>, DataError> {
        let mut samples = Vec::new();
        for set in sets {
            let Some(dataset) = set.open() else { continue };
            samples.extend(dataset.manifest.images.iter().map(|entry| (set, Sample { dataset, entry })));
        }
        let side = |i: usize| -> Side { (samples[i].0.instance, samples[i].1.entry.split) };
        let sides: Vec<Side> = (0..samples.len()).map(side).collect();
        let pairs = |scored: usize, trained: usize| self.0.contains_key(&(sides[trained], sides[scored]));
        let plain: Vec<Sample<'_>> = samples.iter().map(|(_, sample)| *sample).collect();
        let found = counter.during("comparing images", |progress| leaks::find(&plain, &pairs, progress))?;
        let found = found.into_iter().filter_map(|leak| {
            let how = words(self.0.get(&(sides[leak.trained], sides[leak.scored]))?);
            Some(Found { scored: samples[leak.scored], trained: samples[leak.trained], how, leak })
        });
        Ok(found.collect())
    }
}

fn words(how: &BTreeSet<&'static str>) -> String {
    how.iter().copied().collect::<Vec<_>>().join(", ")
}
