//! What is wrong with a value that does not fit its schema.

use super::interval::Interval;
use super::wording::{self, quote};
use std::fmt::{self, Display};
use std::ops::Range;
use toml::de::DeValue;

/// One way in which a value does not fit its schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The bytes of the file that hold it: a value, the key of an unknown parameter, or the table that lacks one.
    pub span: Range<usize>,
    /// The keys that lead to it, joined by dots; empty for the table of parameters itself.
    pub path: String,
    /// The key that the value was given to, the nearest one for an item of a list.
    pub(crate) key: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

/// See [`Mismatch`].
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The table has a key that it does not take.
    UnknownKey {
        /// The keys that it takes.
        known: Vec<String>,
    },
    /// The table lacks a key that it needs.
    MissingKey {
        /// That key.
        key: String,
        /// The words that it takes, if it takes only some.
        words: Vec<String>,
    },
    /// The value is of another type.
    WrongType {
        /// What it should be, as a noun.
        wanted: String,
        /// The words that it could be, if it may be only some.
        words: Vec<String>,
        /// What it is, as a noun.
        found: String,
    },
    /// The text is none of the words that are known.
    UnknownWord {
        /// The text.
        word: String,
        /// The words.
        known: Vec<String>,
    },
    /// The number lies outside of the range.
    OutOfRange {
        /// The range.
        wanted: Interval,
        /// The number as it is written.
        found: String,
    },
    /// The list has too few or too many items.
    WrongLength {
        /// The fewest items that it may have.
        least: usize,
        /// The most.
        most: usize,
        /// How many it has.
        found: usize,
    },
    /// The number is infinite or none at all: JSON, and so the key, cannot hold it.
    NotFinite {
        /// The number as it is written.
        found: String,
    },
}

impl Mismatch {
    /// What is wrong, in a line.
    pub(crate) fn title(&self) -> String {
        let key = self.key.as_deref().map_or("this value".into(), quote);
        match &self.fault {
            Fault::UnknownKey { .. } => format!("unknown key {key}"),
            Fault::MissingKey { key, .. } => format!("missing {}", quote(key)),
            Fault::WrongType { .. } => format!("wrong type for {key}"),
            Fault::UnknownWord { word, .. } => format!("unknown value {} for {key}", quote(word)),
            Fault::OutOfRange { .. } => format!("{key} is out of range"),
            Fault::WrongLength { .. } | Fault::NotFinite { .. } => format!("wrong value for {key}"),
        }
    }

    /// What was expected there, and what was found.
    pub(crate) fn label(&self) -> String {
        match &self.fault {
            Fault::UnknownKey { .. } | Fault::UnknownWord { .. } => String::new(),
            Fault::MissingKey { key, .. } => format!("{} is needed here", quote(key)),
            Fault::WrongType { wanted, found, .. } => format!("expected {wanted}, found {found}"),
            Fault::OutOfRange { wanted, found } => format!("expected {wanted}, found {}", quote(found)),
            Fault::WrongLength { least, most, found } => format!("expected {}, found {found}", length(*least, *most)),
            Fault::NotFinite { found } if found.contains("inf") || found.contains("nan") => {
                format!("expected a finite number, found {}", quote(found))
            }
            Fault::NotFinite { found } => format!("expected a finite number: {} overflowed", quote(found)),
        }
    }

    /// The words or keys that would have been right.
    pub(crate) fn known(&self) -> &[String] {
        match &self.fault {
            Fault::UnknownKey { known } | Fault::UnknownWord { known, .. } => known,
            Fault::MissingKey { words, .. } | Fault::WrongType { words, .. } => words,
            Fault::OutOfRange { .. } | Fault::WrongLength { .. } | Fault::NotFinite { .. } => &[],
        }
    }

    /// The right word that was probably meant.
    pub(crate) fn meant(&self) -> Option<&str> {
        let written = match &self.fault {
            Fault::UnknownKey { .. } => self.key.as_deref()?,
            Fault::UnknownWord { word, .. } => word,
            _ => return None,
        };
        wording::nearest(written, self.known().iter().map(String::as_str))
    }
}

/// In one line, without the file: `temperature: wrong type for …; expected …`.
impl Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", wording::escape(&self.path))?;
        }
        formatter.write_str(&self.title())?;
        let known = wording::expected_one_of(self.known().iter().map(String::as_str));
        for part in [Some(self.label()), known].into_iter().flatten().filter(|part| !part.is_empty()) {
            write!(formatter, "; {part}")?;
        }
        Ok(())
    }
}

fn length(least: usize, most: usize) -> String {
    match (least, most) {
        (least, most) if least == most => format!("a list of {least}"),
        (least, usize::MAX) => format!("a list of {least} or more"),
        (least, most) => format!("a list of {least} to {most}"),
    }
}

/// What a value is, as a noun with the value itself where it is short.
pub(crate) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string \"{}\"", wording::escape(text)),
        DeValue::Integer(_) | DeValue::Float(_) => {
            let noun = if value.is_integer() { "the whole number" } else { "the number" };
            format!("{noun} {}", quote(&number(value)))
        }
        DeValue::Boolean(truth) => format!("`{truth}`"),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// A number in decimal digits, else as it is written.
pub(crate) fn number(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(whole) => whole.to_string(),
            Err(_) => number.to_string(),
        },
        DeValue::Float(number) => number.as_str().to_string(),
        _ => String::new(),
    }
}
