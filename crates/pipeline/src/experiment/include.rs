//! `matrix.include`: members that set several keys together.

use super::choice::{Chooser, clean_word};
use super::diagnostic::Diagnostic;
use super::member::{Axis, Member, Setting, axes_of};
use super::syntax::wrong_type;
use crate::parameters::in_file_order;
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;
use toml::Spanned;
use toml::de::DeValue;

/// One entry of the list.
struct Included<'i> {
    span: Range<usize>,
    name: Option<String>,
    settings: Vec<Setting<'i>>,
}

impl Included<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(other, _)| other.get_ref() == key).and_then(|(_, choice)| choice.label.as_deref())
    }

    /// Its labels for `keys`, joined by dots.
    fn joined(&self, keys: &[&str]) -> String {
        keys.iter().filter_map(|key| self.label(key)).collect::<Vec<_>>().join(".")
    }
}

/// The members of the list `value`. A member's name is its `name`. Without one it is made of the labels of the matrix's
/// other keys, if the member sets them all; else of the fewest keys that distinguish the members.
pub(super) fn members<'i>(
    value: &Spanned<DeValue<'i>>,
    axes: &[Axis<'i>],
    chooser: &Chooser<'_, '_, 'i>,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Member<'i>> {
    let DeValue::Array(entries) = value.get_ref() else {
        faults.push(wrong_type("include", value, "a list of tables, as `[{ key = value, … }]`"));
        return Vec::new();
    };
    let included: Vec<Included<'i>> = entries.iter().filter_map(|entry| read(entry, chooser, faults)).collect();
    let by_axes: Vec<&str> = axes.iter().map(|axis| axis.key.get_ref().as_ref()).collect();
    let has_all = |entry: &Included<'i>| !by_axes.is_empty() && by_axes.iter().all(|key| entry.label(key).is_some());
    let unnamed: Vec<&Included<'i>> = included.iter().filter(|entry| entry.name.is_none() && !has_all(entry)).collect();
    let by_keys = distinguishing_keys(&unnamed);
    let mut members = Vec::new();
    for entry in &included {
        let label = match &entry.name {
            Some(name) => name.clone(),
            None if has_all(entry) => entry.joined(&by_axes),
            None => entry.joined(&by_keys),
        };
        if label.is_empty() {
            faults.push(
                Diagnostic::new(entry.span.clone(), "this member needs a name")
                    .label("no value here distinguishes it from the others")
                    .help("write `name = \"…\"` in it".to_string()),
            );
            continue;
        }
        let mut labels = axes_of(&entry.settings);
        labels.extend(entry.name.clone().map(|name| ("name".to_string(), name)));
        let settings = entry.settings.clone();
        members.push(Member { label: format!("{}.{label}", chooser.name()), axes: labels, settings });
    }
    members
}

fn read<'i>(
    entry: &Spanned<DeValue<'i>>,
    chooser: &Chooser<'_, '_, 'i>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Included<'i>> {
    let DeValue::Table(table) = entry.get_ref() else {
        faults.push(wrong_type("include", entry, "a table, as `{ key = value, … }`"));
        return None;
    };
    let mut included = Included { span: entry.span(), name: None, settings: Vec::new() };
    for (key, value) in in_file_order(table) {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("name", DeValue::String(name)) if !name.is_empty() => included.name = Some(clean_word(name)),
            ("name", _) => faults.push(wrong_type("name", value, "a name for this member")),
            _ => {
                chooser.not_in_body(key, faults);
                let choice = chooser.value(key.get_ref(), value, faults);
                included.settings.push((key.clone(), Rc::new(choice)));
            }
        }
    }
    Some(included)
}

/// The fewest keys, at most three, whose labels distinguish the members; all keys if three are not enough.
fn distinguishing_keys<'a>(members: &[&'a Included<'_>]) -> Vec<&'a str> {
    /// Combinations of more keys than this are not tried.
    const MOST: usize = 12;
    let mut keys: Vec<&str> = Vec::new();
    for (key, choice) in members.iter().flat_map(|member| &member.settings) {
        let key = key.get_ref().as_ref();
        if choice.label.is_some() && !keys.contains(&key) && keys.len() < 100 {
            keys.push(key);
        }
    }
    let distinct = |keys: &[&str]| {
        let mut seen = BTreeSet::new();
        members.iter().map(|member| member.joined(keys)).all(|label| !label.is_empty() && seen.insert(label))
    };
    let few = &keys[..keys.len().min(MOST)];
    for (index, first) in few.iter().enumerate() {
        if distinct(&[first]) {
            return vec![few[index]];
        }
    }
    for (index, first) in few.iter().enumerate() {
        if let Some(second) = few[index + 1..].iter().find(|second| distinct(&[first, second])) {
            return vec![first, second];
        }
    }
    for (index, first) in few.iter().enumerate() {
        for (next, second) in few.iter().enumerate().skip(index + 1) {
            if let Some(third) = few[next + 1..].iter().find(|third| distinct(&[first, second, third])) {
                return vec![first, second, third];
            }
        }
    }
    keys
}
