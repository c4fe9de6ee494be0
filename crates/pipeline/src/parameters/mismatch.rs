//! Differences between a value and its schema.

use super::interval::Interval;
use super::wording::{self, quote};
use std::fmt::{self, Display};
use std::ops::Range;
use toml::de::DeValue;

/// One difference between a value and its schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Its byte range in the file: a value, the key of an unknown parameter, or the table that lacks one.
    pub span: Range<usize>,
    /// Its path: keys joined by dots; empty for the table of parameters itself.
    pub path: String,
    /// The key of the value; for an item of a list, the key of the list.
    pub(crate) key: Option<String>,
    /// The fault.
    pub fault: Fault,
}

/// The fault of a [`Mismatch`].
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The table has an unknown key.
    UnknownKey {
        /// The known keys.
        known: Vec<String>,
    },
    /// The table lacks a key that it needs.
    MissingKey {
        /// The key.
        key: String,
        /// The allowed words, if only some are allowed.
        words: Vec<String>,
    },
    /// The value is of another type.
    WrongType {
        /// Expected type, as a noun.
        wanted: String,
        /// The allowed words, if only some are allowed.
        words: Vec<String>,
        /// Type of the value, as a noun.
        found: String,
    },
    /// The text is not one of the allowed words.
    UnknownWord {
        /// The text.
        word: String,
        /// The allowed words.
        known: Vec<String>,
    },
    /// The number is out of range.
    OutOfRange {
        /// The range.
        wanted: Interval,
        /// The number as written.
        found: String,
    },
    /// The list has too few or too many items.
    WrongLength {
        /// Minimum number of items.
        least: usize,
        /// Maximum number of items.
        most: usize,
        /// Number of items.
        found: usize,
    },
    /// The number is infinite or NaN: JSON, and so the key, cannot hold it.
    NotFinite {
        /// The number as it is written.
        found: String,
    },
}

impl Mismatch {
    /// The fault in one line.
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

    /// The expected and the found value.
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

    /// The allowed words or keys.
    pub(crate) fn known(&self) -> &[String] {
        match &self.fault {
            Fault::UnknownKey { known } | Fault::UnknownWord { known, .. } => known,
            Fault::MissingKey { words, .. } | Fault::WrongType { words, .. } => words,
            Fault::OutOfRange { .. } | Fault::WrongLength { .. } | Fault::NotFinite { .. } => &[],
        }
    }

    /// The allowed word that was probably meant.
    pub(crate) fn meant(&self) -> Option<&str> {
        let written = match &self.fault {
            Fault::UnknownKey { .. } => self.key.as_deref()?,
            Fault::UnknownWord { word, .. } => word,
            _ => return None,
        };
        wording::nearest(written, self.known().iter().map(String::as_str))
    }
}

/// One line without the file: `temperature: wrong type for …; expected …`.
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

/// Type of a value as a noun, with the value itself if it is short.
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

/// A number in decimal digits, or else as written.
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
