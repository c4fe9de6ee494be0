//! The listing of `plan`: a line for each stage, for its seeds, or for a family.

use crate::plan::{CacheState, Plan};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write;

/// A family with this many members is folded: into a line for all seeds of each member or, if these are still too many, into a
/// single line.
const FOLD_FROM: usize = 9;

/// The state of a stage whose output only the shared cache has: a run brings what it reads of it.
pub(super) const SHARED: &str = "shared";

/// A line of the listing: a stage, its seeds, or a family.
pub(super) struct Line {
    pub(super) word: &'static str,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) note: String,
}

/// Stages and families in topological order, otherwise in the order of the file. The members of a family stand together.
pub(super) fn lines(plan: &Plan, words: &[&'static str]) -> Vec<Line> {
    let instances = &plan.experiment.instances;
    let mut families: HashMap<&str, Vec<usize>> = HashMap::new();
    for (stage, instance) in instances.iter().enumerate() {
        families.entry(&instance.family).or_default().push(stage);
    }
    let mut lines = Vec::new();
    for (stage, instance) in instances.iter().enumerate() {
        let members = &families[instance.family.as_str()];
        if members[0] != stage {
            continue;
        }
        if members.len() < FOLD_FROM {
            lines.extend(members.iter().map(|&member| one(plan, words, member)));
            continue;
        }
        // The seeds of a member stand together.
        let of_seeds: Vec<&[usize]> = members.chunk_by(|&a, &b| instances[a].label() == instances[b].label()).collect();
        if of_seeds.len() < FOLD_FROM && of_seeds.len() < members.len() {
            for seeds in of_seeds {
                lines.push(folded(
                    plan,
                    words,
                    seeds,
                    format!("{} × {} seeds", instances[seeds[0]].label(), seeds.len()),
                ));
            }
            continue;
        }
        let mut name = format!("{}.* × {}", instance.family, members.len());
        if of_seeds.len() < members.len() {
            let _ = write!(name, " ({} × {} seeds)", of_seeds.len(), members.len() / of_seeds.len());
        }
        lines.push(folded(plan, words, members, name));
    }
    lines
}

fn one(plan: &Plan, words: &[&'static str], stage: usize) -> Line {
    let (instance, state) = (&plan.experiment.instances[stage], &plan.states[stage]);
    let note = match state {
        CacheState::WaitsOn(inputs) if inputs.len() > 3 => {
            let mut families: Vec<(&str, usize)> = Vec::new();
            for &input in inputs {
                let family = plan.experiment.instances[input].family.as_str();
                match families.last_mut() {
                    Some((last, count)) if *last == family => *count += 1,
                    _ => families.push((family, 1)),
                }
            }
            let shown: Vec<String> =
                families.iter().take(3).map(|(family, count)| format!("{count} of {family}")).collect();
            let more = if families.len() > 3 { ", …" } else { "" };
            format!("for {}{more}", shown.join(", "))
        }
        CacheState::WaitsOn(inputs) => {
            let names: Vec<&str> = inputs.iter().map(|&i| plan.experiment.instances[i].name.as_str()).collect();
            format!("for {}", names.join(", "))
        }
        CacheState::Hit(record) => {
            let how = if words[stage] == SHARED { "fetched, not run; " } else { "" };
            format!("{how}made in {:.1} s on {}", record.made.seconds, record.made.host)
        }
        CacheState::Miss { .. } => String::new(),
        CacheState::Unavailable(error) => error.to_string(),
    };
    Line { word: words[stage], name: instance.name.clone(), kind: instance.kind.name, note }
}

/// Many stages on one line: the number in each state, and the families that they wait for.
fn folded(plan: &Plan, words: &[&'static str], members: &[usize], name: String) -> Line {
    let mut note = String::new();
    let mut states = BTreeSet::new();
    for what in ["cached", SHARED, "run", "waits", "missing"] {
        let n = members.iter().filter(|&&member| words[member] == what).count();
        if n == 0 {
            continue;
        }
        states.insert(what);
        if n < members.len() {
            let _ = write!(note, "{}{n} {what}", if note.is_empty() { "" } else { ", " });
        }
    }
    let word = if states.len() == 1 { states.into_iter().next().unwrap_or("mixed") } else { "mixed" };
    let (mut on, mut seen) = (Vec::new(), HashSet::new());
    for &member in members {
        if let CacheState::WaitsOn(inputs) = &plan.states[member] {
            for &input in inputs {
                let family = plan.experiment.instances[input].family.as_str();
                if seen.insert(family) {
                    on.push(family);
                }
            }
        }
    }
    if !on.is_empty() {
        let more = if on.len() > 3 { format!(" and {} more", on.len() - 3) } else { String::new() };
        on.truncate(3);
        let _ = write!(note, "{}for {}{more}", if note.is_empty() { "" } else { " " }, on.join(", "));
    }
    Line { word, name, kind: plan.experiment.instances[members[0]].kind.name, note }
}
