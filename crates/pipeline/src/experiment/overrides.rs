//! `--set a.b=c`: values from the command line.

use super::diagnostic::Diagnostic;
use super::source::Sources;
use super::syntax::{file_of, shifted, type_name};
use crate::parameters::wording::{self, quote};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

/// Deeper than any parameter is; the tree is walked recursively.
const DEEPEST: usize = 16;

/// One part of a dotted path, and its span.
type Step<'i> = (DeString<'i>, Range<usize>);

/// Puts each flag's value into the tree, where it is checked like any other.
pub(super) fn apply<'i>(root: &mut DeTable<'i>, sources: &'i Sources, faults: &mut Vec<Diagnostic>) {
    for (flag, base) in sources.flags() {
        if let Err(fault) = one(root, flag, base) {
            faults.push(fault);
        }
    }
}

fn one<'i>(root: &mut DeTable<'i>, flag: &'i str, base: usize) -> Result<(), Diagnostic> {
    let Some((path, text)) = flag.split_once('=') else {
        return Err(Diagnostic::new(base..base + flag.len(), "`--set` needs a key and a value")
            .label("expected `KEY.PATH=VALUE`, as in `stages.ssl.epochs=3`"));
    };
    let steps = steps(path, base)?;
    let value = value(text, base + path.len() + 1)?;
    put(root, &steps, &steps, value)
}

/// Splits at dots outside of quotes.
pub(super) fn steps(path: &str, base: usize) -> Result<Vec<Step<'_>>, Diagnostic> {
    let mut steps = Vec::new();
    let mut quoted = None;
    let mut start = 0;
    for (offset, character) in path.char_indices().chain([(path.len(), '.')]) {
        match character {
            '"' | '\'' if quoted == Some(character) => quoted = None,
            '"' | '\'' if quoted.is_none() => quoted = Some(character),
            '.' if quoted.is_none() || offset == path.len() => {
                let step = path[start..offset].trim();
                let bare = step.trim_matches(['"', '\'']);
                if bare.is_empty() {
                    return Err(Diagnostic::new(
                        base + start..base + offset.max(start + 1),
                        "a part of this path is empty",
                    )
                    .label("expected `KEY.PATH=VALUE`, as in `stages.ssl.epochs=3`"));
                }
                steps.push((DeString::Borrowed(bare), base + start..base + offset));
                start = offset + 1;
            }
            _ => {}
        }
    }
    if steps.len() > DEEPEST {
        return Err(Diagnostic::new(base..base + path.len(), format!("this path has more than {DEEPEST} parts")));
    }
    Ok(steps)
}

/// `text` as TOML; as a string if it is not TOML and starts with no bracket or quote.
fn value(text: &str, base: usize) -> Result<Spanned<DeValue<'_>>, Diagnostic> {
    let trimmed = text.trim();
    match DeValue::parse(trimmed) {
        Ok(value) if !trimmed.is_empty() => {
            let indent = text.len() - text.trim_start().len();
            Ok(shifted(value, base + indent))
        }
        Err(error) if trimmed.starts_with(['[', '{', '"', '\'']) => {
            let span = error.span().unwrap_or(0..0);
            let indent = text.len() - text.trim_start().len();
            Err(Diagnostic::new(
                base + indent + span.start..base + indent + span.end,
                format!("this is not TOML: {}", wording::escape(error.message())),
            ))
        }
        _ => Ok(Spanned::new(base..base + text.len(), DeValue::String(DeString::Borrowed(text)))),
    }
}

fn put<'i>(
    table: &mut DeTable<'i>,
    path: &[Step<'i>],
    rest: &[Step<'i>],
    value: Spanned<DeValue<'i>>,
) -> Result<(), Diagnostic> {
    let Some(((step, span), rest)) = rest.split_first() else { return Ok(()) };
    let key = Spanned::new(span.clone(), step.clone());
    if rest.is_empty() {
        // A key that is there keeps its span: the order of a matrix's keys is the order of the parts of names.
        table.insert(key, value);
        return Ok(());
    }
    let depth = path.len() - rest.len() - 1;
    if !table.contains_key(step.as_ref()) {
        // Otherwise a misspelt stage would be a new one without a kind.
        if depth == 1 && matches!(path[0].0.as_ref(), "stages" | "datasets") {
            let known = || table.keys().map(|key| key.get_ref().as_ref());
            return Err(Diagnostic::new(span.clone(), format!("{} has no {}", quote(&path[0].0), quote(step)))
                .meant(wording::nearest(step, known()))
                .note(wording::expected_one_of(known())));
        }
        table.insert(key, Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    }
    match table.get_mut(step.as_ref()).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => put(inner, path, rest, value),
        Some(DeValue::Array(items)) => put_in_list(items, path, rest, value),
        Some(other) => Err(Diagnostic::new(rest[0].1.clone(), format!("{} has no keys", quote(step))).label(format!(
            "{} is {}",
            quote(step),
            type_name(other)
        ))),
        None => Ok(()),
    }
}

fn put_in_list<'i>(
    items: &mut DeArray<'i>,
    path: &[Step<'i>],
    rest: &[Step<'i>],
    value: Spanned<DeValue<'i>>,
) -> Result<(), Diagnostic> {
    let Some(((step, span), rest)) = rest.split_first() else { return Ok(()) };
    let file_of = |item: &Spanned<DeValue<'i>>| file_of(item).map(str::to_string);
    let by_file = items.iter().position(|item| file_of(item).as_deref() == Some(step.as_ref()));
    let index = by_file.or_else(|| step.parse().ok().filter(|&index: &usize| index < items.len()));
    let count = items.len();
    let Some(item) = index.and_then(|index| items.get_mut(index)) else {
        let files: Vec<String> = items.iter().filter_map(file_of).collect();
        let known = || files.iter().map(String::as_str);
        return Err(Diagnostic::new(span.clone(), format!("the list has no {}", quote(step)))
            .label(match count {
                0 => "the list is empty".to_string(),
                length => format!("expected a number from 0 to {}, or the `file` of an entry", length - 1),
            })
            .meant(wording::nearest(step, known()))
            .note(wording::expected_one_of(known())));
    };
    if rest.is_empty() {
        *item = value;
        return Ok(());
    }
    match item.get_mut() {
        DeValue::Table(inner) => put(inner, path, rest, value),
        DeValue::Array(inner) => put_in_list(inner, path, rest, value),
        other => Err(Diagnostic::new(rest[0].1.clone(), format!("entry {} has no keys", quote(step)))
            .label(format!("it is {}", type_name(other)))),
    }
}
