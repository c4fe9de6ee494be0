//! Compares a TOML value with its shape and returns all differences, each with its location.

use super::interval::Interval;
use super::mismatch::{Fault, Mismatch, found, number};
use super::shape::{Form, Shape, TableShape};
use super::vocabulary::SpannedTable;
use super::wording;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Maximum number of errors reported for one table.
const MOST_ERRORS: usize = 30;

/// All errors in `table`.
pub(super) fn inspect(shape: &Shape, table: &SpannedTable<'_>) -> Vec<Mismatch> {
    let mut inspection = Inspection { mismatches: Vec::new() };
    inspection.numbers_of_table(table.get_ref(), &Trail::Start);
    // If the schema is not that of one table, serde checks it.
    if let Some(shape) = table_shape(shape) {
        inspection.table(shape, table.get_ref(), table.span(), &Trail::Start);
    }
    inspection.mismatches.truncate(MOST_ERRORS);
    inspection.mismatches
}

/// The keys of `shape`, if it is one table.
pub(super) fn table_shape(shape: &Shape) -> Option<&TableShape> {
    match &shape.form {
        Form::Table(table) => Some(table),
        Form::Either(shapes) => match &shapes[..] {
            [only] => table_shape(only),
            _ => None,
        },
        _ => None,
    }
}

/// The keys and indices that lead to a value.
enum Trail<'t> {
    Start,
    Key(&'t Trail<'t>, &'t str),
    Item(&'t Trail<'t>, usize),
}

impl Trail<'_> {
    /// The path as text, e.g. `optimizer.betas[1]`.
    fn path(&self) -> String {
        match self {
            Trail::Start => String::new(),
            Trail::Key(Trail::Start, key) => key.to_string(),
            Trail::Key(before, key) => format!("{}.{key}", before.path()),
            Trail::Item(before, index) => {
                let mut path = before.path();
                let _ = write!(path, "[{index}]");
                path
            }
        }
    }

    fn key(&self) -> Option<&str> {
        match self {
            Trail::Start => None,
            Trail::Key(_, key) => Some(key),
            Trail::Item(before, _) => before.key(),
        }
    }
}

struct Inspection {
    mismatches: Vec<Mismatch>,
}

impl Inspection {
    fn say(&mut self, span: Range<usize>, trail: &Trail<'_>, fault: Fault) {
        self.mismatches.push(Mismatch { span, path: trail.path(), key: trail.key().map(str::to_string), fault });
    }

    fn value(&mut self, shape: &Shape, value: &Spanned<DeValue<'_>>, trail: &Trail<'_>) {
        match (&shape.form, value.get_ref()) {
            (Form::Anything, _) | (Form::Boolean, DeValue::Boolean(_)) | (Form::Text, DeValue::String(_)) => {}
            // Already reported, whatever is expected there.
            (_, DeValue::Float(float)) if !is_finite(float.as_str()) => {}
            (Form::Words(known), DeValue::String(text)) => self.word(known, text, value.span(), trail),
            (Form::Number(interval), number) if takes_number(interval, number) => {
                self.number(interval, value, trail);
            }
            (Form::List { items, least, most }, DeValue::Array(array)) => {
                self.list(items, (*least, *most), array, value.span(), trail);
            }
            (Form::Table(shape), DeValue::Table(table)) => self.table(shape, table, value.span(), trail),
            (Form::Either(shapes), _) => self.either(shape, shapes, value, trail),
            _ => self.wrong_type(shape, value, trail),
        }
    }

    fn wrong_type(&mut self, shape: &Shape, value: &Spanned<DeValue<'_>>, trail: &Trail<'_>) {
        let (words, found) = (shape.words().to_vec(), found(value.get_ref()));
        self.say(value.span(), trail, Fault::WrongType { wanted: shape.noun(), words, found });
    }

    fn word(&mut self, known: &[String], text: &str, span: Range<usize>, trail: &Trail<'_>) {
        if !known.iter().any(|word| word == text) {
            self.say(span, trail, Fault::UnknownWord { word: text.to_string(), known: known.to_vec() });
        }
    }

    fn number(&mut self, interval: &Interval, value: &Spanned<DeValue<'_>>, trail: &Trail<'_>) {
        let (inside, wanted) = match value.get_ref() {
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(whole) => (interval.has_whole(whole), interval.violated_by(whole)),
                Err(_) => (false, *interval),
            },
            DeValue::Float(number) => (parsed(number.as_str()).is_none_or(|real| interval.has_real(real)), *interval),
            _ => return,
        };
        if !inside {
            self.say(value.span(), trail, Fault::OutOfRange { wanted, found: number(value.get_ref()) });
        }
    }

    fn list(
        &mut self,
        items: &Shape,
        (least, most): (usize, usize),
        array: &DeArray<'_>,
        span: Range<usize>,
        trail: &Trail<'_>,
    ) {
        if !(least..=most).contains(&array.len()) {
            self.say(span, trail, Fault::WrongLength { least, most, found: array.len() });
        }
        for (index, item) in array.iter().enumerate() {
            if self.mismatches.len() >= MOST_ERRORS {
                return;
            }
            self.value(items, item, &Trail::Item(trail, index));
        }
    }

    fn table(&mut self, shape: &TableShape, table: &DeTable<'_>, span: Range<usize>, trail: &Trail<'_>) {
        let mut unknown = Vec::new();
        for (key, value) in in_file_order(table) {
            let word = key.get_ref().as_ref();
            let trail = Trail::Key(trail, word);
            match (shape.known.get(word), &shape.others) {
                (Some(known), _) => self.value(known, value, &trail),
                (None, Some(others)) => self.value(others, value, &trail),
                (None, None) => {
                    unknown.push(word);
                    self.say(key.span(), &trail, Fault::UnknownKey { known: shape.known.keys().cloned().collect() });
                }
            }
        }
        for key in &shape.required {
            // A misspelt key is not also reported as missing.
            let misspelt = || unknown.iter().any(|word| wording::nearest(word, [key.as_str()]).is_some());
            if !table.contains_key(key.as_str()) && !misspelt() {
                let words = shape.known.get(key).map(|shape| shape.words().to_vec()).unwrap_or_default();
                self.say(span.clone(), trail, Fault::MissingKey { key: key.clone(), words });
            }
        }
    }

    /// Compares with one of several shapes: of those that take such a value, the table with the given tag, or the best
    /// fit.
    fn either(&mut self, shape: &Shape, shapes: &[Arc<Shape>], value: &Spanned<DeValue<'_>>, trail: &Trail<'_>) {
        let fitting: Vec<&Shape> = shapes.iter().map(Arc::as_ref).filter(|shape| takes(shape, value)).collect();
        if let [only] = &fitting[..] {
            return self.value(only, value, trail);
        }
        if fitting.is_empty() {
            return self.wrong_type(shape, value, trail);
        }
        if let (DeValue::Table(table), Some(tag)) = (value.get_ref(), Tag::of(&fitting)) {
            return match tag.choose(table) {
                Ok(shape) => self.table(shape, table, value.span(), trail),
                Err((Some(word), fault)) => self.say(word.span(), &Trail::Key(trail, tag.key), fault),
                Err((None, fault)) => self.say(value.span(), trail, fault),
            };
        }
        let attempts = fitting.into_iter().map(|shape| {
            let mut attempt = Inspection { mismatches: Vec::new() };
            attempt.value(shape, value, trail);
            attempt.mismatches
        });
        self.mismatches.extend(attempts.min_by_key(Vec::len).unwrap_or_default());
    }

    /// Reports NaN and infinity at any depth: JSON, and so the key, cannot hold them.
    fn numbers_of_table(&mut self, table: &DeTable<'_>, trail: &Trail<'_>) {
        table.iter().for_each(|(key, value)| self.numbers(value, &Trail::Key(trail, key.get_ref())));
    }

    fn numbers(&mut self, value: &Spanned<DeValue<'_>>, trail: &Trail<'_>) {
        match value.get_ref() {
            DeValue::Float(float) if !is_finite(float.as_str()) => {
                self.say(value.span(), trail, Fault::NotFinite { found: float.as_str().to_string() });
            }
            DeValue::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| self.numbers(item, &Trail::Item(trail, index)));
            }
            DeValue::Table(table) => self.numbers_of_table(table, trail),
            _ => {}
        }
    }
}

/// The key whose word selects one of several tables (the tag).
struct Tag<'s> {
    key: &'s str,
    /// Each table with its word of the tag.
    tables: Vec<(&'s str, &'s TableShape)>,
}

impl<'s> Tag<'s> {
    fn of(shapes: &[&'s Shape]) -> Option<Self> {
        let tables: Vec<&'s TableShape> = shapes.iter().filter_map(|shape| table_shape(shape)).collect();
        let word = |table: &&'s TableShape, key: &str| -> Option<&'s str> {
            match table.known.get(key).map(|shape| &shape.form) {
                Some(Form::Words(words)) if words.len() == 1 => words.first().map(String::as_str),
                _ => None,
            }
        };
        let tags = |key: &&'s String| tables.iter().all(|table| word(table, key).is_some());
        let key = tables.first()?.known.keys().find(tags)?;
        let tables = tables.iter().filter_map(|table| Some((word(table, key)?, *table))).collect();
        Some(Tag { key, tables })
    }

    /// The table that the word in `table` selects; else the error: an unknown or missing word.
    fn choose<'t, 'i>(
        &self,
        table: &'t DeTable<'i>,
    ) -> Result<&'s TableShape, (Option<&'t Spanned<DeValue<'i>>>, Fault)> {
        let words = || self.tables.iter().map(|(word, _)| word.to_string()).collect();
        let Some(value) = table.get(self.key) else {
            return Err((None, Fault::MissingKey { key: self.key.to_string(), words: words() }));
        };
        let Some(word) = value.get_ref().as_str() else {
            let found = found(value.get_ref());
            return Err((Some(value), Fault::WrongType { wanted: "a string".into(), words: words(), found }));
        };
        let chosen = self.tables.iter().find(|(known, _)| *known == word).map(|(_, table)| *table);
        chosen.ok_or_else(|| (Some(value), Fault::UnknownWord { word: word.to_string(), known: words() }))
    }
}

/// Whether `shape` takes values of this type.
fn takes(shape: &Shape, value: &Spanned<DeValue<'_>>) -> bool {
    match (&shape.form, value.get_ref()) {
        (Form::Anything, _)
        | (Form::Boolean, DeValue::Boolean(_))
        | (Form::Text | Form::Words(_), DeValue::String(_))
        | (Form::List { .. }, DeValue::Array(_))
        | (Form::Table(_), DeValue::Table(_)) => true,
        (Form::Number(interval), number) => takes_number(interval, number),
        (Form::Either(shapes), _) => shapes.iter().any(|shape| takes(shape, value)),
        _ => false,
    }
}

/// Whether such a number is expected: `3` also fits a real number, but `3.0` is no whole number.
fn takes_number(interval: &Interval, value: &DeValue<'_>) -> bool {
    match interval {
        Interval::Whole { .. } => value.is_integer(),
        Interval::Real { .. } => value.is_integer() || value.is_float(),
    }
}

fn parsed(float: &str) -> Option<f64> {
    float.replace('_', "").parse().ok()
}

fn is_finite(float: &str) -> bool {
    parsed(float).is_none_or(f64::is_finite)
}

/// The table's entries in the order of the file (the tree itself sorts by name).
pub(crate) fn in_file_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
