//! How a stage is run: `timeout`, `retries`, `threads`, `memory` beside `kind` and `matrix`.
//!
//! Limits do not change what a stage leaves. So they are taken out of its table before its kind reads the parameters,
//! and they enter no key. All members of a family share them.

use super::diagnostic::Diagnostic;
use super::syntax::{type_name, wrong_type};
use crate::parameters::wording;
use matssl_base::units::{self, Units, Wrong};
use serde::Serialize;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How a stage is run: never part of a key. Of what is `None` the executor decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Limits {
    /// Longest wall time of one attempt: `timeout = "2 h"` (s, min, h, d), or a number of seconds.
    pub timeout: Option<Duration>,
    /// Attempts after the first, 0 to 100: `retries = 2`.
    pub retries: Option<u32>,
    /// Maximum number of threads, 1 or more: `threads = 4`.
    pub threads: Option<usize>,
    /// Bytes of memory that the stage is expected to need: `memory = "4 GiB"` (GiB = 2³⁰, GB = 10⁹).
    pub memory: Option<u64>,
}

/// The keys of limits.
pub(super) const WORDS: [&str; 4] = ["timeout", "retries", "threads", "memory"];

/// Maximum of `timeout` in seconds: ten years.
const LONGEST: f64 = 10.0 * 365.0 * 86400.0;
/// Maximum of `memory` in bytes: a pebibyte.
const LARGEST: f64 = (1u64 << 50) as f64;
/// Maximum of `retries`.
const MOST_RETRIES: u64 = 100;
/// Maximum of `threads`.
const MOST_THREADS: u64 = 65_536;

/// Takes the limits out of a stage's table and reads them.
pub(super) fn take(body: &mut DeTable<'_>, faults: &mut Vec<Diagnostic>) -> Limits {
    let mut limits = Limits::default();
    let mut report = |result: Result<(), Diagnostic>| faults.extend(result.err());
    if let Some(value) = body.remove("timeout") {
        report(timeout(&value).map(|time| limits.timeout = Some(time)));
    }
    if let Some(value) = body.remove("retries") {
        report(count("retries", &value, 0, MOST_RETRIES).map(|number| limits.retries = Some(number as u32)));
    }
    if let Some(value) = body.remove("threads") {
        report(count("threads", &value, 1, MOST_THREADS).map(|number| limits.threads = Some(number as usize)));
    }
    if let Some(value) = body.remove("memory") {
        report(memory(&value).map(|bytes| limits.memory = Some(bytes)));
    }
    limits
}

/// The error for a matrix that sets a limit.
pub(super) fn in_matrix(key: &str, span: Range<usize>, family: &str) -> Diagnostic {
    Diagnostic::new(span, format!("a matrix cannot set `{key}`"))
        .label("it is the same for all members of a family")
        .help(format!("write `{key} = …` beside the matrix of `{family}`; to vary it, write two families"))
}

fn timeout(value: &Spanned<DeValue<'_>>) -> Result<Duration, Diagnostic> {
    const WANTED: &str = "a time, as `\"2 h\"` (s, min, h, d) or a number of seconds";
    let seconds = match value.get_ref() {
        DeValue::String(text) => quantity("timeout", text, units::TIMES, "\"90 s\", \"30 min\", \"2 h\"", value)?,
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(f64::INFINITY, |number| number as f64)
        }
        DeValue::Float(number) => number.as_str().replace('_', "").parse().unwrap_or(f64::NAN),
        _ => return Err(wrong_type("timeout", value, WANTED)),
    };
    if !(seconds > 0.0 && seconds <= LONGEST) {
        return Err(out_of_range("timeout", value, "more than 0 s and at most 3650 d"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn memory(value: &Spanned<DeValue<'_>>) -> Result<u64, Diagnostic> {
    let DeValue::String(text) = value.get_ref() else {
        let fault = wrong_type("memory", value, "a size in quotes with its unit, as `\"4 GiB\"`");
        return Err(fault.note(listed(units::SIZES)));
    };
    let bytes = quantity("memory", text, units::SIZES, "\"512 MiB\", \"4 GiB\"", value)?;
    if !(1.0..=LARGEST).contains(&bytes) {
        return Err(out_of_range("memory", value, "more than 0 MiB and at most 1048576 GiB"));
    }
    Ok(bytes as u64)
}

fn count(key: &str, value: &Spanned<DeValue<'_>>, least: u64, most: u64) -> Result<u64, Diagnostic> {
    let wanted = format!("a whole number from {least} to {most}");
    let DeValue::Integer(number) = value.get_ref() else { return Err(wrong_type(key, value, &wanted)) };
    let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| out_of_range(key, value, &wanted))
}

/// A number with its unit, in seconds or bytes.
fn quantity(
    key: &str,
    text: &str,
    known: Units,
    examples: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<f64, Diagnostic> {
    units::quantity(text, known).map_err(|wrong| {
        let fault = Diagnostic::new(value.span(), format!("wrong value for `{key}`"));
        let fault = match wrong {
            Wrong::NoUnit => fault.label("a number without its unit"),
            Wrong::UnknownUnit(unit) => fault
                .label(format!("{} is not a known unit", wording::quote(unit)))
                .meant(meant(unit, known.iter().map(|(word, _)| *word))),
            Wrong::NoNumber => {
                fault.label(format!("expected a number and its unit, found {}", type_name(value.get_ref())))
            }
        };
        fault.help(format!("for example {examples}")).note(listed(known))
    })
}

/// The unit that was probably meant, by another word for it or in another case.
fn meant<'w>(unit: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let lower = unit.to_lowercase();
    let usual = match lower.as_str() {
        "sec" | "secs" | "second" | "seconds" => "s",
        "mins" | "minute" | "minutes" => "min",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "week" | "weeks" => "w",
        other => other,
    };
    { words }.find(|word| word.eq_ignore_ascii_case(usual))
}

fn listed(known: Units) -> String {
    format!("the units are {}", wording::list(known.iter().map(|(word, _)| *word), known.len()))
}

fn out_of_range(key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Diagnostic {
    Diagnostic::new(value.span(), format!("`{key}` is out of range")).label(format!("expected {wanted}"))
}
