//! The members that a `matrix` makes: all combinations of its keys' values, without `exclude`, with `include`.
//!
//! A member's name is its family's name and the labels of its values, joined by dots. The label of a string, number
//! or truth value is its text. The label of a stage's name is that stage's label. In a `{ label = value }` table each
//! value has the label in front of it. Characters other than letters, digits, `_`, `+` and `-` become `-`; the dot of a number and
//! the dots in a stage's label stay.

use super::choice::{Chooser, clean, plain_text};
use super::diagnostic::Diagnostic;
use super::families::Entry;
use super::include;
use super::member::{Axis, Member, Setting, axes_of};
use super::syntax::wrong_type;
use crate::parameters::in_file_order;
use crate::parameters::wording::{self, quote};
use globset::Glob;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The members of a family.
pub(super) struct Expansion<'i> {
    pub(super) members: Vec<Member<'i>>,
    /// Whether no error hides a member.
    pub(super) complete: bool,
}

/// Expands the matrix of `chooser.family`, to `most` members at most.
pub(super) fn expand<'i>(
    matrix: &Entry<'i>,
    chooser: &Chooser<'_, '_, 'i>,
    most: usize,
    faults: &mut Vec<Diagnostic>,
) -> Expansion<'i> {
    let before = faults.len();
    let mut members = Vec::new();
    if let DeValue::Table(table) = matrix.1.get_ref() {
        members = members_of(table, matrix.0.span(), chooser, most, faults);
        unique(&mut members, matrix.0.span(), faults);
        if members.is_empty() && faults.len() == before {
            let fault = Diagnostic::new(matrix.0.span(), format!("the matrix of {} is empty", quote(chooser.name())));
            faults.push(
                fault.label("it makes no stage").help(
                    "`matrix.KEY = [value, value]` makes one stage for each; leave `matrix` out for a single one"
                        .to_string(),
                ),
            );
        }
    } else {
        let fault = wrong_type("matrix", &matrix.1, "a table");
        faults.push(fault.help("`matrix.KEY = [value, value]` makes one stage for each value".to_string()));
    }
    Expansion { members, complete: faults.len() == before }
}

fn members_of<'i>(
    table: &DeTable<'i>,
    span: Range<usize>,
    chooser: &Chooser<'_, '_, 'i>,
    most: usize,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Member<'i>> {
    let mut axes = Vec::new();
    for (key, value) in in_file_order(table) {
        if !matches!(key.get_ref().as_ref(), "include" | "exclude") {
            chooser.not_in_body(key, faults);
            axes.push(Axis { key: key.clone(), choices: chooser.axis(key, value, faults) });
        }
    }
    let product = axes.iter().try_fold(1usize, |product, axis| product.checked_mul(axis.choices.len()));
    let included = table.get("include").map_or(0, |include| include.get_ref().as_array().map_or(0, |list| list.len()));
    let size = product.and_then(|product| product.checked_add(included));
    if size.is_none_or(|size| size > most) {
        let size = size.map_or("more stages than can be counted".into(), |size| wording::count(size, "stage"));
        faults.push(too_many(
            span,
            &format!("the matrix of {} makes {size}", quote(chooser.name())),
            chooser.max_stages,
        ));
        return Vec::new();
    }
    let mut members = product_of(chooser.name(), &axes);
    if let Some(exclude) = table.get("exclude") {
        take_out(exclude, &axes, &mut members, faults);
    }
    if let Some(value) = table.get("include") {
        members.extend(include::members(value, &axes, chooser, faults));
    }
    members
}

/// The error for an experiment with more stages than `most`.
pub(super) fn too_many(span: Range<usize>, what: &str, most: usize) -> Diagnostic {
    Diagnostic::new(span, what)
        .label(format!("`max_stages` is {most}"))
        .help("if you want so many, write a higher `max_stages = …` at the top of the file".to_string())
}

/// All combinations; the last key varies fastest.
fn product_of<'i>(family: &str, axes: &[Axis<'i>]) -> Vec<Member<'i>> {
    let count: usize = if axes.is_empty() { 0 } else { axes.iter().map(|axis| axis.choices.len()).product() };
    (0..count)
        .map(|index| {
            let mut rest = index;
            let mut settings: Vec<Setting<'i>> = Vec::with_capacity(axes.len());
            for axis in axes.iter().rev() {
                settings.push((axis.key.clone(), axis.choices[rest % axis.choices.len()].clone()));
                rest /= axis.choices.len();
            }
            settings.reverse();
            let labels: Vec<&str> = settings.iter().filter_map(|(_, choice)| choice.label.as_deref()).collect();
            Member { label: format!("{family}.{}", labels.join(".")), axes: axes_of(&settings), settings }
        })
        .collect()
}

/// Drops the members that match an entry of `exclude`: they have all the labels that it gives.
fn take_out(
    value: &Spanned<DeValue<'_>>,
    axes: &[Axis<'_>],
    members: &mut Vec<Member<'_>>,
    faults: &mut Vec<Diagnostic>,
) {
    let DeValue::Array(entries) = value.get_ref() else {
        return faults.push(wrong_type("exclude", value, "a list of tables, as `[{ method = \"…\" }]`"));
    };
    for entry in entries {
        let DeValue::Table(table) = entry.get_ref() else {
            faults.push(wrong_type("exclude", entry, "a table, as `{ method = \"…\" }`"));
            continue;
        };
        let mut wanted = Vec::new();
        let mut right = true;
        for (key, value) in in_file_order(table) {
            let name = key.get_ref().as_ref();
            let text = plain_text(value.get_ref());
            if !axes.iter().any(|axis| axis.key.get_ref() == key.get_ref()) {
                let keys = || axes.iter().map(|axis| axis.key.get_ref().as_ref());
                let fault = Diagnostic::new(key.span(), format!("the matrix has no key {}", quote(name)));
                let fault = fault.meant(wording::nearest(name, keys()));
                faults.push(fault.note(wording::expected_one_of(keys())));
                right = false;
            } else if let Some(text) = text {
                let glob = Glob::new(&text).ok().map(|glob| glob.compile_matcher());
                wanted.push((name, clean(&text, value.get_ref()), text, glob));
            } else {
                faults.push(wrong_type(name, value, "the value or the label to exclude"));
                right = false;
            }
        }
        let matches = |member: &Member<'_>| {
            wanted.iter().all(|(key, label_of_text, text, glob)| {
                member.axes.iter().any(|(axis, label)| {
                    let same = label == label_of_text
                        || label == text
                        || glob.as_ref().is_some_and(|glob| glob.is_match(label));
                    axis == key && same
                })
            })
        };
        let count = members.len();
        if right && !wanted.is_empty() {
            members.retain(|member| !matches(member));
        }
        if right && members.len() == count && faults.is_empty() {
            let fault = Diagnostic::new(entry.span(), "this excludes nothing");
            faults.push(fault.label("no member of the matrix has these values"));
        }
    }
}

/// Drops members with the same name, and with names too long for a folder, with an error for the first.
fn unique(members: &mut Vec<Member<'_>>, span: Range<usize>, faults: &mut Vec<Diagnostic>) {
    const LONGEST: usize = 200;
    let mut seen = std::collections::BTreeSet::new();
    let mut reported = false;
    members.retain(|member| {
        let long = member.label.len() > LONGEST;
        let twice = !seen.insert(member.label.clone());
        if (long || twice) && !reported {
            reported = true;
            let message = match twice {
                true => format!("two members of the matrix have the name {}", quote(&member.label)),
                false => format!("{} is too long for a name", quote(&member.label)),
            };
            faults.push(Diagnostic::new(span.clone(), message).help(
                "label the values: `matrix.KEY = { label = value, … }`, or `name = \"…\"` in `include`".to_string(),
            ));
        }
        !long && !twice
    });
}
