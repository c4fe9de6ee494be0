//! A text as a TOML tree with spans, and the errors of TOML's syntax.

use super::diagnostic::Diagnostic;
use super::lookalike;
use crate::parameters::found;
use crate::parameters::wording;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The tree, or `None` if the syntax is too broken to look for other errors.
pub(super) fn parse<'i>(text: &'i str, faults: &mut Vec<Diagnostic>) -> Option<DeTable<'i>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    // The tree lacks a second definition; the rest can still be read.
    let readable = errors.iter().all(|error| error.message() == DUPLICATE);
    let mut repeated_header = None;
    for error in errors.iter().take(MOST_ERRORS) {
        let start = error.span().map_or(0, |span| span.start);
        let header = header_before(text, start);
        if readable && header.is_some() {
            let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
            if header == Some(line_start) {
                repeated_header = header;
            } else if header == repeated_header {
                continue; // Its keys are repeated because it is.
            }
        }
        faults.push(fault(text, error));
    }
    // One stray character makes several errors: the first of each line is enough.
    if !readable {
        let line_of = |fault: &Diagnostic| text[..fault.start().min(text.len())].matches('\n').count();
        let named = lookalike::faults(text);
        let named_lines: std::collections::BTreeSet<usize> = named.iter().map(line_of).collect();
        faults.retain(|fault| !named_lines.contains(&line_of(fault)));
        faults.extend(named);
        let mut lines = std::collections::BTreeSet::new();
        faults.sort_by_key(|fault| fault.start());
        faults.retain(|fault| lines.insert(line_of(fault)));
    }
    readable.then(|| root.into_inner())
}

/// More errors than this are not shown.
const MOST_ERRORS: usize = 200;

/// The start of the last line up to `offset` that looks like a header.
fn header_before(text: &str, offset: usize) -> Option<usize> {
    let mut end = text[offset..].find('\n').map_or(text.len(), |length| offset + length + 1);
    for line in text[..end].split_inclusive('\n').rev() {
        end -= line.len();
        if line.trim_start().starts_with('[') {
            return Some(end);
        }
    }
    None
}

const DUPLICATE: &str = "duplicate key";

fn fault(text: &str, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    if error.message() == DUPLICATE {
        let key = text.get(span.clone()).unwrap_or_default();
        let fault = Diagnostic::new(span.clone(), format!("{} is defined twice", wording::quote(key)))
            .label("a second time here");
        return match first_definition(text, &span) {
            Some(first) => fault.other(first, "first here"),
            None => fault,
        };
    }
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (error.message(), None),
    };
    Diagnostic::new(span, format!("this is not TOML: {}", wording::escape(message)))
        .label(expected.map(|expected| format!("expected {expected}")).unwrap_or_default())
}

/// The span of the same header, or of the same key below the same header, before `span`: TOML's error has only `span`.
fn first_definition(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let line_start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[span.end..].find('\n').map_or(text.len(), |length| span.end + length);
    let squeeze = |line: &str| line.split('#').next().unwrap_or_default().split_whitespace().collect::<String>();
    let wanted = squeeze(&text[line_start..line_end]);
    let is_header = wanted.starts_with('[');
    let key = wanted.split('=').next().unwrap_or_default().to_string();
    let mut end = line_start;
    for line in text[..line_start].split_inclusive('\n').rev() {
        let start = end - line.len();
        end = start;
        let squeezed = squeeze(line);
        let same = if is_header { squeezed == wanted } else { squeezed.split('=').next() == Some(key.as_str()) };
        if same && !key.is_empty() {
            let indent = line.len() - line.trim_start().len();
            let width =
                if is_header { line.trim().len() } else { line.trim_start().find([' ', '\t', '=']).unwrap_or(0) };
            return Some(start + indent..start + indent + width);
        }
        if !is_header && squeezed.starts_with('[') {
            return None;
        }
    }
    None
}

/// The `file` of an entry of a list.
pub(super) fn file_of<'t>(entry: &'t Spanned<DeValue<'_>>) -> Option<&'t str> {
    entry.get_ref().as_table()?.get("file")?.get_ref().as_str()
}

/// The same value with spans that count from the start of all texts, for one whose text starts at `by`.
pub(super) fn shifted(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span().start + by..value.span().end + by;
    let value = match value.into_inner() {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| shifted(item, by)).collect()),
        DeValue::Table(table) => DeValue::Table(shifted_table(table, by)),
        other => other,
    };
    Spanned::new(span, value)
}

/// [`shifted`] for a table.
pub(super) fn shifted_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let mut result = DeTable::new();
    for (key, item) in table {
        let span = key.span().start + by..key.span().end + by;
        result.insert(Spanned::new(span, key.into_inner()), shifted(item, by));
    }
    result
}

/// The type of a value, as a noun.
pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The error for a value of the wrong type.
pub(super) fn wrong_type(key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Diagnostic {
    Diagnostic::new(value.span(), format!("wrong type for {}", wording::quote(key)))
        .label(format!("expected {wanted}, found {}", found(value.get_ref())))
}
