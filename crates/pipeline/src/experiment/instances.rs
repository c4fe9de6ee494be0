//! Repeats members of families for seeds: nodes and edges of the graph.

use super::diagnostic::Diagnostic;
use super::document::Document;
use super::expand::DecodedMember;
use super::matrix::too_many;
use super::{InputRef, Instance};
use crate::parameters::wording;
use std::sync::Arc;

/// Maximum number of edges in an experiment: more come from patterns that match too many stages.
const MOST_EDGES: usize = 2_000_000;

/// The instances of one member: one, or one for each seed.
#[derive(Clone, Copy)]
struct Slot {
    first: usize,
    repeated: bool,
}

/// The instances, each after its inputs; `None` (with a fault) if there are too many.
pub(super) fn all(
    document: &Document<'_>,
    order: &[usize],
    members: Vec<Vec<DecodedMember>>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Vec<Instance>> {
    if !faults.is_empty() {
        return None;
    }
    let seeds = &document.seeds;
    let mut slots: Vec<Vec<Slot>> = members.iter().map(|members| Vec::with_capacity(members.len())).collect();
    let (mut count, mut edges) = (0usize, 0usize);
    for &at in order {
        let family = &document.families[at];
        for member in &members[at] {
            let rests_on_seeds = member
                .inputs
                .iter()
                .filter(|role| !role.all_seeds)
                .any(|role| role.targets.iter().any(|target| slots[target.family][target.member].repeated));
            let repeated = rests_on_seeds || member.decoded.stage.draws();
            slots[at].push(Slot { first: count, repeated });
            let times = if repeated { seeds.len() } else { 1 };
            count = count.saturating_add(times);
            let targets: usize = member.inputs.iter().map(|role| role.targets.len()).sum();
            edges = edges.saturating_add(targets.saturating_mul(seeds.len()));
        }
        if count > document.max_stages {
            let what = format!("with {} the experiment has too many stages", wording::count(seeds.len(), "seed"));
            faults.push(too_many(family.place.clone(), &what, document.max_stages));
            return None;
        }
        if edges > MOST_EDGES {
            let message = format!("the stages up to this one have more than {MOST_EDGES} inputs in total");
            faults.push(Diagnostic::new(family.place.clone(), message).label("a pattern matches too many stages"));
            return None;
        }
    }
    let mut instances = Vec::with_capacity(count);
    let mut members = members;
    for &at in order {
        let family = &document.families[at];
        let Some(spec) = family.spec else { continue };
        for (mut member, slot) in std::mem::take(&mut members[at]).into_iter().zip(&slots[at]) {
            let times = if slot.repeated { seeds.len() } else { 1 };
            for index in 0..times {
                let seed = if slot.repeated { seeds.get(index).copied() } else { None };
                let name = match seed {
                    Some(seed) => format!("{}@{seed}", member.label),
                    None => member.label.clone(),
                };
                let inputs = edges_of(&member, index, seeds.len(), &slots);
                // Most members have one instance: the last one takes the values instead of copies.
                let (axes, params) = match index + 1 == times {
                    true => (std::mem::take(&mut member.axes), std::mem::take(&mut member.decoded.params)),
                    false => (member.axes.clone(), member.decoded.params.clone()),
                };
                let stage = Arc::clone(&member.decoded.stage);
                let (family, limits) = (family.name.clone(), family.limits.clone());
                instances.push(Instance { name, family, axes, seed, kind: spec, stage, params, inputs, limits });
            }
        }
    }
    Some(instances)
}

/// The edges of a member's instance for the seed at `index`: to the same seed, or to all seeds.
fn edges_of(member: &DecodedMember, index: usize, seeds: usize, slots: &[Vec<Slot>]) -> Vec<InputRef> {
    let mut edges = Vec::new();
    for role in &member.inputs {
        for target in role.targets.iter() {
            let slot = slots[target.family][target.member];
            let of_target = match (slot.repeated, role.all_seeds) {
                (false, _) => 0..1,
                (true, true) => 0..seeds,
                (true, false) => index..index + 1,
            };
            for offset in of_target {
                edges.push(InputRef { role: role.param, instance: slot.first + offset, label: target.label.clone() });
            }
        }
    }
    edges
}
