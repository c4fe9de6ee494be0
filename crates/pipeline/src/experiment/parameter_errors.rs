//! What is wrong with the parameters of one stage, as a user is told it.

use super::diagnostic::Diagnostic;
use super::families::Family;
use super::limits;
use super::member::Member;
use super::resolve::Names;
use crate::parameters::vocabulary::{ParamError, Section, SpannedTable};
use crate::parameters::wording::{self, quote};
use crate::parameters::{Fault, Mismatch};
use crate::stage::Kind;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The stage whose parameters they are.
pub(super) struct Context<'a, 'd, 'i> {
    pub(super) family: &'a Family<'i>,
    /// The family's index.
    pub(super) at: usize,
    pub(super) spec: &'static Kind,
    pub(super) member: &'a Member<'i>,
    /// The parameters as they were given to [`Kind::parse`].
    pub(super) table: &'a SpannedTable<'i>,
    pub(super) names: &'a Names<'d, 'i>,
    /// Whether the matrix is broken, so that the table lacks what it would set.
    pub(super) probing: bool,
}

impl Context<'_, '_, '_> {
    /// All of `errors`, but none that follows from a broken matrix.
    pub(super) fn faults(&self, errors: &[ParamError]) -> Vec<Diagnostic> {
        errors.iter().filter_map(|error| self.diagnostic(error)).collect()
    }

    fn diagnostic(&self, error: &ParamError) -> Option<Diagnostic> {
        match error {
            ParamError::Check { param, message } => Some(self.check(param, message)),
            ParamError::Refused { span, message } => {
                Some(self.refused(span.clone().unwrap_or(self.table.span()), message))
            }
            ParamError::Mismatch(mismatch) => match &mismatch.fault {
                Fault::MissingKey { key, .. } => (!self.probing).then(|| self.missing(key, mismatch)),
                Fault::UnknownKey { .. } => Some(self.unknown_key(mismatch)),
                _ => Some(misfit(mismatch)),
            },
        }
    }

    fn check(&self, param: &str, message: &str) -> Diagnostic {
        let (span, written) = span_of(self.table, param);
        let diagnostic = Diagnostic::new(span, wording::escape_long(message));
        let diagnostic = match written {
            true => diagnostic,
            false => diagnostic.label(format!("`{param}` is not written here")),
        };
        // It may hold for this member alone.
        let note = format!("in {}", quote(&self.member.label));
        diagnostic.note((!self.member.settings.is_empty()).then_some(note))
    }

    fn missing(&self, key: &str, mismatch: &Mismatch) -> Diagnostic {
        let top = mismatch.span == self.table.span();
        let diagnostic = Diagnostic::new(mismatch.span.clone(), mismatch.title());
        let diagnostic = match top {
            true => diagnostic.label(format!("{} of kind `{}` needs {}", noun(self.spec), self.spec.name, quote(key))),
            false => diagnostic.label(mismatch.label()),
        };
        match self.spec.references.iter().find(|spec| top && spec.param == key) {
            Some(reference) => diagnostic
                .help(format!("`{key} = \"…\"` names a stage of kind {}", wording::or_list(reference.kinds)))
                .note(self.names.of_these(reference, self.at)),
            None => diagnostic.note(expected(mismatch)),
        }
    }

    fn unknown_key(&self, mismatch: &Mismatch) -> Diagnostic {
        let (span, key) = (mismatch.span.clone(), mismatch.key.as_deref().unwrap_or_default());
        let set_by_matrix = self.member.settings.iter().any(|(set, _)| set.span() == span);
        if set_by_matrix && limits::WORDS.contains(&key) {
            return limits::in_matrix(key, span, &self.family.name);
        }
        let at_top = set_by_matrix || self.table.get_ref().keys().any(|key| key.span() == span);
        let label = match (set_by_matrix, at_top) {
            (true, _) => format!("the matrix sets it, but `{}` has no such parameter", self.spec.name),
            (false, true) => format!("`{}` has no such parameter", self.spec.name),
            (false, false) => "there is no such key here".into(),
        };
        let own: &[&str] = match self.spec.section {
            Section::Stages => &["kind", "matrix"],
            Section::Datasets => &["matrix"],
            Section::Tables
            | Section::DataTables
            | Section::Figures
            | Section::Overlays
            | Section::Models
            | Section::Files => &[],
        };
        let limits = if own.is_empty() { &[][..] } else { &limits::WORDS };
        let own = own.iter().chain(limits).copied().filter(|_| at_top);
        let known = mismatch.known().iter().map(String::as_str);
        Diagnostic::new(span, mismatch.title())
            .label(label)
            .meant(wording::nearest(key, known.chain(own)))
            .note(expected(mismatch).or_else(|| Some("it takes no parameters".into())))
    }

    /// What a type says itself of a value that fits its schema.
    fn refused(&self, span: Range<usize>, message: &str) -> Diagnostic {
        let title = match key_at(self.table.get_ref(), &span) {
            Some(key) => format!("wrong value for {}", quote(key)),
            None if span == self.table.span() => format!("wrong parameters of {}", quote(&self.family.name)),
            None => "wrong value".into(),
        };
        Diagnostic::new(span, title).label(wording::escape_long(message))
    }
}

/// What does not fit, with the nearest right word.
fn misfit(mismatch: &Mismatch) -> Diagnostic {
    Diagnostic::new(mismatch.span.clone(), mismatch.title())
        .label(mismatch.label())
        .meant(mismatch.meant())
        .note(expected(mismatch))
}

fn expected(mismatch: &Mismatch) -> Option<String> {
    wording::expected_one_of(mismatch.known().iter().map(String::as_str))
}

fn noun(spec: &Kind) -> &'static str {
    match spec.section {
        Section::Stages => "a stage",
        Section::Datasets => "a data set",
        Section::Tables => "a table",
        Section::DataTables => "a table of data",
        Section::Figures => "a figure",
        Section::Overlays => "an overlay",
        Section::Models => "a folder of models",
        Section::Files => "a list of files",
    }
}

/// The span of a dotted parameter's value, or of the innermost table around it that is written; and whether the value
/// is written itself.
fn span_of(table: &SpannedTable<'_>, param: &str) -> (Range<usize>, bool) {
    let (mut span, mut table) = (table.span(), table.get_ref());
    let mut keys = param.split('.').peekable();
    while let Some(key) = keys.next() {
        let Some(value) = table.get(key) else { return (span, false) };
        span = value.span();
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return (span, keys.peek().is_none()),
        }
    }
    (span, true)
}

/// The key whose value, or an item of whose value, has this span.
fn key_at<'t>(table: &'t DeTable<'_>, span: &Range<usize>) -> Option<&'t str> {
    table.iter().find_map(|(key, value)| key_in(key.get_ref(), value, span))
}

fn key_in<'t>(key: &'t str, value: &'t Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<&'t str> {
    match value.get_ref() {
        _ if value.span() == *span => Some(key),
        DeValue::Table(table) => key_at(table, span),
        DeValue::Array(items) => items.iter().find_map(|item| key_in(key, item, span)),
        _ => None,
    }
}
