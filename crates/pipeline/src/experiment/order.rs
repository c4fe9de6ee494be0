//! The order of the families: each after those that it takes inputs from; and the circles that make this impossible.

use super::diagnostic::Diagnostic;
use super::families::Family;
use super::pattern::Pattern;
use crate::parameters::in_file_order;
use crate::parameters::vocabulary::ReferenceSpec;
use crate::parameters::wording::quote;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// More circles than this are not reported.
const MOST_CIRCLES: usize = 20;
/// More stages of a circle than this are not named.
const MOST_NAMED: usize = 12;

/// The families by index, each after those it takes inputs from; otherwise in the order of the file. Of a circle one
/// edge is left out, and the circle is reported.
pub(super) fn of(families: &[Family<'_>], faults: &mut Vec<Diagnostic>) -> Vec<usize> {
    let by_name: BTreeMap<&str, usize> =
        families.iter().enumerate().rev().map(|(index, family)| (family.name.as_str(), index)).collect();
    let edges: Vec<Edges> = (0..families.len()).map(|index| edges(families, &by_name, index)).collect();
    let mut order = Vec::with_capacity(families.len());
    let mut seen = vec![false; families.len()];
    let mut open = vec![false; families.len()];
    let mut circles = 0;
    for root in 0..families.len() {
        if seen[root] {
            continue;
        }
        // Depth first without recursion: a long chain of stages must not overflow the stack.
        let mut stack = vec![(root, 0)];
        (seen[root], open[root]) = (true, true);
        while let Some((index, next)) = stack.last_mut() {
            let index = *index;
            let Some((target, _)) = edges[index].get(*next) else {
                stack.pop();
                open[index] = false;
                order.push(index);
                continue;
            };
            *next += 1;
            if open[*target] {
                // Where every stage takes every other one, there is no end of circles.
                if circles < MOST_CIRCLES {
                    let from = stack.iter().position(|(index, _)| index == target).unwrap_or(0);
                    let circle: Vec<usize> = stack[from..].iter().map(|(index, _)| *index).collect();
                    faults.push(circle_fault(families, &edges, &circle));
                }
                circles += 1;
            } else if !seen[*target] {
                (seen[*target], open[*target]) = (true, true);
                stack.push((*target, 0));
            }
        }
    }
    order
}

/// The families that one family names, each with the span of one such name.
type Edges = Vec<(usize, Range<usize>)>;

fn edges(families: &[Family<'_>], by_name: &BTreeMap<&str, usize>, index: usize) -> Edges {
    let family = &families[index];
    let mut edges = Edges::new();
    let mut known = BTreeSet::new();
    for spec in family.spec.map_or(&[][..], |spec| spec.references) {
        for (name, span) in names(family, &family.reference(spec)) {
            let Ok(pattern) = Pattern::parse(name) else { continue };
            let allowed = |target: usize| families[target].spec.is_some_and(|target| spec.kinds.contains(&target.name));
            let targets = pattern.reached(by_name, index);
            for target in targets {
                if allowed(target) && known.insert(target) {
                    edges.push((target, span.clone()));
                }
            }
        }
    }
    edges.sort_by_key(|(target, _)| *target);
    edges
}

/// Every name that `family` writes for the parameter of `spec`: in its body, and in its matrix.
fn names<'t>(family: &'t Family<'_>, spec: &ReferenceSpec) -> Vec<(&'t str, Range<usize>)> {
    let mut found = Vec::new();
    if let Some(value) = family.body.get_ref().get(spec.param) {
        collect(value, spec.many, &mut found);
    }
    let Some(matrix) = family.matrix.as_ref().and_then(|(_, value)| value.get_ref().as_table()) else { return found };
    if let Some(axis) = matrix.get(spec.param) {
        match axis.get_ref() {
            DeValue::Table(choices) => collect_values(choices, spec.many, &mut found),
            _ => collect(axis, spec.many, &mut found),
        }
    }
    if let Some(DeValue::Array(members)) = matrix.get("include").map(Spanned::get_ref) {
        for member in members {
            if let Some(value) = member.get_ref().as_table().and_then(|table| table.get(spec.param)) {
                collect(value, spec.many, &mut found);
            }
        }
    }
    found
}

/// The strings in a value; those in a table only if the table is one of label → name.
fn collect<'t>(value: &'t Spanned<DeValue<'_>>, labelled: bool, found: &mut Vec<(&'t str, Range<usize>)>) {
    match value.get_ref() {
        DeValue::String(name) => found.push((name, value.span())),
        DeValue::Array(items) => items.iter().for_each(|item| collect(item, labelled, found)),
        DeValue::Table(table) if labelled => collect_values(table, labelled, found),
        _ => {}
    }
}

fn collect_values<'t>(table: &'t DeTable<'_>, labelled: bool, found: &mut Vec<(&'t str, Range<usize>)>) {
    in_file_order(table).into_iter().for_each(|(_, value)| collect(value, labelled, found));
}

fn circle_fault(families: &[Family<'_>], edges: &[Edges], circle: &[usize]) -> Diagnostic {
    // Starts with the stage that comes first in the file, wherever the search found the circle.
    let first = (0..circle.len()).min_by_key(|&index| families[circle[index]].place.start).unwrap_or(0);
    let circle: Vec<usize> = circle[first..].iter().chain(&circle[..first]).copied().collect();
    let name = |step: usize| quote(&families[circle[step % circle.len()]].name);
    let span = |step: usize| {
        let target = circle[(step + 1) % circle.len()];
        let edge = edges[circle[step]].iter().find(|(index, _)| *index == target);
        edge.map_or(0..0, |(_, span)| span.clone())
    };
    let mut path: Vec<String> =
        (0..if circle.len() > MOST_NAMED { MOST_NAMED } else { circle.len() + 1 }).map(name).collect();
    if circle.len() > MOST_NAMED {
        path.push(format!("{} more", circle.len() - MOST_NAMED));
        path.push(name(0));
    }
    let mut fault = Diagnostic::new(span(0), format!("stages take one another in a circle: {}", path.join(" → ")));
    if circle.len() == 1 {
        return fault.label(format!("{} takes itself as an input", name(0)));
    }
    for step in 0..circle.len().min(MOST_NAMED) {
        let label = format!("{} takes {}", name(step), name(step + 1));
        fault = if step == 0 { fault.label(label) } else { fault.other(span(step), label) };
    }
    fault
}
