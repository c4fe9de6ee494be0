//! The values of an extending file override those of its base.
//!
//! The rule: **a table is merged with the base's table key by key; any other value replaces the base's value.**
//! Three cases are special:
//! - A table whose `name`, `kind` or `format` differs from the base's replaces it as a whole, because these words
//!   decide what else the table may hold.
//! - A `matrix.KEY` (`include` and `exclude`, too) replaces the base's, whether it is a list or a table. As
//!   `matrix.KEY` and `KEY` set the same parameter, each replaces the other.
//! - Entries of `[[tables]]`, `[[data_tables]]`, `[[figures]]`, `[[overlays]]` and `[[files]]` with the same `file` are merged; new ones
//!   come after the base's.
//!
//! A key that the base has keeps its span there: the order of a matrix's keys is the order of the parts of names.

use super::diagnostic::Diagnostic;
use super::families::SECTIONS;
use super::overrides::steps;
use super::syntax::{file_of, type_name, wrong_type};
use crate::parameters::vocabulary::Section;
use crate::parameters::wording::{self, quote};
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

/// The rule, for users.
pub(super) const RULE: &str = "this file's values override the extended file's: a table is merged key by key, unless its \
                               `name`, `kind` or `format` differs; a `matrix.KEY`, a list or any other value replaces \
                               the old one";

/// Keys that decide what else a table may hold.
const DECIDING: [&str; 3] = ["name", "kind", "format"];

/// Overrides the tree of a base with that of the extending file.
pub(super) fn over<'i>(base: &mut DeTable<'i>, tree: DeTable<'i>, faults: &mut Vec<Diagnostic>) {
    for (key, value) in tree {
        let section = SECTIONS.iter().find(|(word, ..)| *word == key.get_ref().as_ref());
        let Some((_, section, listed)) = section else {
            base.insert(key, value);
            continue;
        };
        let span = value.span();
        match (base.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.into_inner()) {
            (Some(DeValue::Table(old)), DeValue::Table(new)) if !listed => {
                over_named(old, new, *section == Section::Stages, faults);
            }
            (Some(DeValue::Array(old)), DeValue::Array(new)) if *listed => over_listed(old, new),
            (_, value) => {
                base.insert(key, Spanned::new(span, value));
            }
        }
    }
}

/// `[stages.NAME]`, `[datasets.NAME]`.
fn over_named<'i>(base: &mut DeTable<'i>, section: DeTable<'i>, stages: bool, faults: &mut Vec<Diagnostic>) {
    let mut new = Vec::new();
    for (key, value) in section {
        match base.get_mut(key.get_ref().as_ref()) {
            Some(old) => over_stage(old, value),
            None => new.push((key, value)),
        }
    }
    for (key, value) in new {
        // Otherwise a misspelt stage would be a new one without a kind.
        let meant = value.get_ref().as_table().is_some_and(|table| stages && !table.contains_key("kind"));
        if meant {
            let known = || base.keys().map(|key| key.get_ref().as_ref());
            let name = key.get_ref();
            faults.push(
                Diagnostic::new(key.span(), format!("the extended file has no stage {}", quote(name)))
                    .label("a new stage needs a `kind`")
                    .meant(wording::nearest(name, known()))
                    .help(RULE.to_string())
                    .note(wording::expected_one_of(known())),
            );
        } else {
            base.insert(key, value);
        }
    }
}

/// Lists of tables, in which `file` names an entry.
fn over_listed<'i>(base: &mut DeArray<'i>, entries: DeArray<'i>) {
    let mut left: Vec<usize> = (0..base.len()).collect();
    for entry in entries {
        let same = |&index: &usize| file_of(&entry).is_some() && base.get(index).and_then(file_of) == file_of(&entry);
        // A second entry with the same `file` does not override the first: that is an error, which `families` reports.
        match left.iter().position(same) {
            Some(found) => {
                if let Some(old) = base.get_mut(left.remove(found)) {
                    over_stage(old, entry);
                }
            }
            None => base.push(entry),
        }
    }
}

/// One stage's table over another, with its matrix.
fn over_stage<'i>(old: &mut Spanned<DeValue<'i>>, new: Spanned<DeValue<'i>>) {
    let span = new.span();
    let (old, mut new) = match (old.get_ref(), new.into_inner()) {
        (DeValue::Table(base), DeValue::Table(table)) if !decides_anew(base, &table) => match old.get_mut() {
            DeValue::Table(base) => (base, table),
            _ => return,
        },
        (_, new) => return *old = Spanned::new(span, new),
    };
    let matrix = new.remove_entry("matrix");
    if let Some(DeValue::Table(axes)) = old.get_mut("matrix").map(Spanned::get_mut) {
        let had = axes.len();
        new.keys().for_each(|key| drop(axes.remove(key.get_ref().as_ref())));
        if axes.is_empty() && had > 0 {
            old.remove("matrix");
        }
    }
    let Some((key, matrix)) = matrix else { return merge(old, new) };
    merge(old, new);
    let span = matrix.span();
    let matrix = matrix.into_inner();
    if let DeValue::Table(axes) = &matrix {
        axes.keys().for_each(|key| drop(old.remove(key.get_ref().as_ref())));
    }
    match (old.get_mut("matrix").map(Spanned::get_mut), matrix) {
        (Some(DeValue::Table(old)), DeValue::Table(axes)) => {
            axes.into_iter().for_each(|(key, value)| drop(old.insert(key, value)));
        }
        (_, matrix) => {
            old.insert(key, Spanned::new(span, matrix));
        }
    }
}

fn merge<'i>(old: &mut DeTable<'i>, new: DeTable<'i>) {
    for (key, value) in new {
        let span = value.span();
        match (old.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.into_inner()) {
            (Some(DeValue::Table(old)), DeValue::Table(new)) if !decides_anew(old, &new) => merge(old, new),
            (_, value) => {
                old.insert(key, Spanned::new(span, value));
            }
        }
    }
}

fn decides_anew(old: &DeTable<'_>, new: &DeTable<'_>) -> bool {
    let word = |table: &DeTable<'_>, key: &str| Some(table.get(key)?.get_ref().as_str()?.to_string());
    DECIDING.into_iter().any(|key| match (word(old, key), word(new, key)) {
        (Some(old), Some(new)) => old != new,
        _ => false,
    })
}

/// `remove = ["stages.x", "tables.y"]`: drops parts of the base.
pub(super) fn remove(base: &mut DeTable<'_>, value: &Spanned<DeValue<'_>>, faults: &mut Vec<Diagnostic>) {
    const WANTED: &str = "a list of names of parts of the extended file, as `[\"stages.x\", \"tables.y\"]`";
    let DeValue::Array(items) = value.get_ref() else { return faults.push(wrong_type("remove", value, WANTED)) };
    for item in items {
        let DeValue::String(path) = item.get_ref() else {
            let label = format!("expected the name of a part, as `stages.x`, found {}", type_name(item.get_ref()));
            faults.push(Diagnostic::new(item.span(), "wrong type in `remove`").label(label));
            continue;
        };
        let fault = match steps(path, 0) {
            Ok(steps) => {
                let steps: Vec<&DeString<'_>> = steps.iter().map(|(step, _)| step).collect();
                remove_one(base, &steps, item)
            }
            Err(_) => Err(Diagnostic::new(item.span(), format!("{} names no part", quote(path)))
                .label("expected words with dots between them, as `stages.x`")),
        };
        faults.extend(fault.err());
    }
}

fn remove_one(table: &mut DeTable<'_>, path: &[&DeString<'_>], item: &Spanned<DeValue<'_>>) -> Result<(), Diagnostic> {
    let Some((step, rest)) = path.split_first() else { return Ok(()) };
    let step = step.as_ref();
    let known: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
    if !table.contains_key(step) {
        return Err(not_there(step, &known, item));
    }
    let Some((next, further)) = rest.split_first() else {
        table.remove(step);
        return Ok(());
    };
    match table.get_mut(step).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => remove_one(inner, rest, item),
        Some(DeValue::Array(items)) => {
            let known: Vec<String> = items.iter().filter_map(file_of).map(str::to_string).collect();
            let Some(removed) = items.iter().position(|item| file_of(item) == Some(next.as_ref())) else {
                return Err(not_there(next, &known, item));
            };
            match items.get_mut(removed).map(Spanned::get_mut) {
                Some(DeValue::Table(inner)) if !further.is_empty() => remove_one(inner, further, item),
                _ => {
                    let all = std::mem::replace(items, DeArray::new()).into_iter().enumerate();
                    *items = all.filter(|(index, _)| *index != removed).map(|(_, item)| item).collect();
                    Ok(())
                }
            }
        }
        _ => Err(not_there(next, &[], item)),
    }
}

fn not_there(step: &str, known: &[String], item: &Spanned<DeValue<'_>>) -> Diagnostic {
    let known = || known.iter().map(String::as_str);
    Diagnostic::new(item.span(), format!("the extended file has no {}", quote(step)))
        .label("there is nothing to remove")
        .meant(wording::nearest(step, known()))
        .note(wording::expected_one_of(known()))
}
