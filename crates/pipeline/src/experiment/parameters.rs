//! What is wrong with the parameters of one stage, in a user's words.

use super::deserialize::missing_field;
use super::diagnostic::Diagnostic;
use super::families::Family;
use super::limits;
use super::member::Member;
use super::resolve::Names;
use super::vocabulary::{ParamError, Section, SpannedTable};
use super::wording::{self, backticked, quote};
use crate::stage::Kind;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Whose parameters they are.
pub(super) struct Context<'a, 'd, 'i> {
    pub(super) family: &'a Family<'i>,
    /// Its index.
    pub(super) at: usize,
    pub(super) spec: &'static Kind,
    pub(super) member: &'a Member<'i>,
    /// As they were given to [`Kind::parse`].
    pub(super) table: &'a SpannedTable<'i>,
    pub(super) names: &'a Names<'d, 'i>,
    /// The matrix is broken, so what it sets is not in the table.
    pub(super) probing: bool,
}

impl Context<'_, '_, '_> {
    /// All of `errors` but those that follow from another: a key that was misspelt is not missing.
    pub(super) fn faults(&self, errors: &[ParamError]) -> Vec<Diagnostic> {
        let unknown: Vec<&str> = errors.iter().filter_map(message).filter_map(unknown_field).collect();
        let follows = |error: &&ParamError| {
            let missing = message(error).and_then(missing_field);
            missing.is_some_and(|key| unknown.iter().any(|word| wording::nearest(word, [key]).is_some()))
        };
        errors.iter().filter(|error| !follows(error)).filter_map(|error| self.fault(error)).collect()
    }

    /// `None` if what is wrong follows from a broken matrix.
    fn fault(&self, error: &ParamError) -> Option<Diagnostic> {
        match error {
            ParamError::Check { param, message } => Some(self.check(param, message)),
            ParamError::Toml(error) => {
                let place = error.span().unwrap_or(self.table.span());
                let message = error.message();
                if let Some(key) = missing_field(message) {
                    return (!self.probing).then(|| self.missing(key, place));
                }
                Some(match message.split_once(' ').map_or("", |(_, rest)| rest.split(' ').next().unwrap_or("")) {
                    "field" if message.starts_with("unknown field `") => self.unknown_key(message, place),
                    "variant" if message.starts_with("unknown variant `") => self.unknown_word(message, place),
                    "type:" | "value:" | "length" => self.refused(message, place),
                    _ => self.other(message, place),
                })
            }
        }
    }

    fn check(&self, param: &str, message: &str) -> Diagnostic {
        let (place, written) = place_of(self.table, param);
        let fault = Diagnostic::new(place, wording::escape_long(message));
        let fault = match written {
            true => fault,
            false => fault.label(format!("`{param}` is not written here and has its default")),
        };
        // It may hold for this member alone.
        let note = format!("in {}", quote(&self.member.label));
        fault.note((!self.member.settings.is_empty()).then_some(note))
    }

    fn missing(&self, key: &str, place: Range<usize>) -> Diagnostic {
        let top = place == self.table.span();
        let fault = Diagnostic::new(place, format!("missing {}", quote(key)));
        let reference = self.spec.references.iter().find(|spec| top && spec.param == key);
        let fault = match top {
            true => fault.label(format!("{} of kind `{}` needs {}", noun(self.spec), self.spec.name, quote(key))),
            false => fault.label(format!("{} is needed here", quote(key))),
        };
        match reference {
            Some(reference) => fault
                .help(format!("`{key} = \"…\"` names a stage of kind {}", wording::or_list(reference.kinds)))
                .note(self.names.of_these(reference, self.at)),
            None => fault,
        }
    }

    fn unknown_key(&self, message: &str, place: Range<usize>) -> Diagnostic {
        let rest = message.strip_prefix("unknown field `").unwrap_or(message);
        let (key, expected) = rest.split_once("`, ").unwrap_or((rest.trim_end_matches('`'), ""));
        let known = if expected.starts_with("expected") { backticked(expected) } else { Vec::new() };
        let set_by_matrix = self.member.settings.iter().any(|(set, _)| set.span() == place);
        if set_by_matrix && limits::WORDS.contains(&key) {
            return limits::in_matrix(key, place, &self.family.name);
        }
        let fault = Diagnostic::new(place.clone(), format!("unknown key {}", quote(key)));
        let at_top = set_by_matrix || self.table.get_ref().keys().any(|key| key.span() == place);
        let label = match (set_by_matrix, at_top) {
            (true, _) => format!("the matrix sets it, but `{}` has no such parameter", self.spec.name),
            (false, true) => format!("`{}` has no such parameter", self.spec.name),
            (false, false) => "there is no such key here".into(),
        };
        let own: &[&str] = match self.spec.section {
            Section::Stages => &["kind", "matrix"],
            Section::Datasets => &["matrix"],
            Section::Tables | Section::DataTables | Section::Figures | Section::Overlays => &[],
        };
        let limits = if own.is_empty() { &[][..] } else { &limits::WORDS };
        let own = own.iter().chain(limits).copied().filter(|_| at_top);
        fault
            .label(label)
            .meant(wording::nearest(key, known.iter().copied().chain(own)))
            .note(wording::expected_one_of(known).or_else(|| Some("it takes no parameters".into())))
    }

    fn unknown_word(&self, message: &str, place: Range<usize>) -> Diagnostic {
        let rest = message.strip_prefix("unknown variant `").unwrap_or(message);
        let (word, expected) = rest.split_once("`, ").unwrap_or((rest.trim_end_matches('`'), ""));
        let known = backticked(expected);
        let key = key_at(self.table.get_ref(), &place);
        let of = key.map(|key| format!(" for {}", quote(key))).unwrap_or_default();
        Diagnostic::new(place, format!("unknown value {}{of}", quote(word)))
            .meant(wording::nearest(word, known.iter().copied()))
            .note(wording::expected_one_of(known))
    }

    /// `invalid type: string "a", expected u32` and its like.
    fn refused(&self, message: &str, place: Range<usize>) -> Diagnostic {
        let (what, found) = message.split_once(": ").unwrap_or(("", message));
        let (found, wanted) = found.rsplit_once(", expected ").unwrap_or((found, ""));
        let ranged = what == "invalid value";
        let key = key_at(self.table.get_ref(), &place).map_or("this value".into(), quote);
        let title = match what {
            "invalid value" => format!("{key} is out of range"),
            "invalid type" => format!("wrong type for {key}"),
            _ => return self.other(message, place),
        };
        let label = if wanted.is_empty() {
            wording::escape(found)
        } else {
            format!("expected {}, found {}", plain_type(wanted, ranged), wording::escape(&plain_found(found, ranged)))
        };
        Diagnostic::new(place, title).label(label)
    }

    fn other(&self, message: &str, place: Range<usize>) -> Diagnostic {
        let title = match key_at(self.table.get_ref(), &place) {
            Some(key) => format!("wrong value for {}", quote(key)),
            None if place == self.table.span() => format!("wrong parameters of {}", quote(&self.family.name)),
            None => "wrong value".into(),
        };
        Diagnostic::new(place, title).label(wording::escape_long(message))
    }
}

fn message(error: &ParamError) -> Option<&str> {
    match error {
        ParamError::Toml(error) => Some(error.message()),
        ParamError::Check { .. } => None,
    }
}

/// The unknown field of serde's message.
fn unknown_field(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field `")?;
    Some(rest.split_once("`, ").map_or(rest, |(key, _)| key))
}

fn noun(spec: &Kind) -> &'static str {
    match spec.section {
        Section::Stages => "a stage",
        Section::Datasets => "a data set",
        Section::Tables => "a table",
        Section::DataTables => "a table of data",
        Section::Figures => "a figure",
        Section::Overlays => "an overlay",
    }
}

/// Where the value of a dotted parameter stands, or the nearest thing around it; and whether it is written at all.
fn place_of(table: &SpannedTable<'_>, param: &str) -> (Range<usize>, bool) {
    let (mut place, mut table) = (table.span(), table.get_ref());
    let mut steps = param.split('.').peekable();
    while let Some(step) = steps.next() {
        let Some(value) = table.get(step) else { return (place, false) };
        place = value.span();
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return (place, steps.peek().is_none()),
        }
    }
    (place, true)
}

/// The key whose value (or an item of whose value) stands at `place`.
fn key_at<'t>(table: &'t DeTable<'_>, place: &Range<usize>) -> Option<&'t str> {
    table.iter().find_map(|(key, value)| key_in(key.get_ref(), value, place))
}

fn key_in<'t>(key: &'t str, value: &'t Spanned<DeValue<'_>>, place: &Range<usize>) -> Option<&'t str> {
    match value.get_ref() {
        _ if value.span() == *place => Some(key),
        DeValue::Table(table) => key_at(table, place),
        DeValue::Array(items) => items.iter().find_map(|item| key_in(key, item, place)),
        _ => None,
    }
}

/// Rust's names of types mean nothing to a materials scientist.
fn plain_type(wanted: &str, ranged: bool) -> String {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" if !ranged => "a whole number".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => {
            "a whole number above 0".into()
        }
        "f32" | "f64" => "a number".into(),
        "a boolean" => "`true` or `false`".into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        "path string" | "string" => "a string".into(),
        _ if wanted.starts_with("struct ") => "a table `{ … }`".into(),
        _ if wanted.starts_with("a tuple of size ") => wanted.replace("a tuple of size", "a list of"),
        _ if wanted.starts_with("an array of length ") => wanted.replace("an array of length", "a list of"),
        _ => wording::escape(wanted),
    }
}

/// serde's word for a value in a user's words.
fn plain_found(found: &str, ranged: bool) -> String {
    match found {
        "map" => return "a table".into(),
        "sequence" => return "a list".into(),
        _ => {}
    }
    for (theirs, ours) in [
        ("string ", "the string "),
        ("integer ", if ranged { "" } else { "the whole number " }),
        ("floating point ", "the number "),
        ("boolean ", ""),
    ] {
        if let Some(rest) = found.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    found.to_string()
}
