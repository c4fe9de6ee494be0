//! Families of stages: the entries of an experiment file's sections.

use super::diagnostic::Diagnostic;
use super::limits::{self, Limits};
use super::syntax::wrong_type;
use crate::parameters::in_file_order;
use crate::parameters::vocabulary::{ReferenceSpec, Section, SpannedTable};
use crate::parameters::wording::{self, quote};
use crate::stage::{Kind, Kinds};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// An entry of a table as TOML knows it.
pub(super) type Entry<'i> = (Spanned<DeString<'i>>, Spanned<DeValue<'i>>);

/// One `[stages.NAME]`, `[datasets.NAME]`, `[[tables]]`, …
pub(super) struct Family<'i> {
    pub(super) name: String,
    /// The span of what names it.
    pub(super) place: Range<usize>,
    /// `None` if the kind is missing or unknown.
    pub(super) spec: Option<&'static Kind>,
    /// Its parameters, without `kind`, `matrix` and limits; the span is that of its header.
    pub(super) body: SpannedTable<'i>,
    pub(super) matrix: Option<Entry<'i>>,
    pub(super) limits: Limits,
}

impl Family<'_> {
    /// `reference` as it holds here: with [`ReferenceSpec::several_with`] it takes several stages if that parameter is set, and with
    /// [`ReferenceSpec::several_if`] if one has that value; also where the matrix sets that parameter for some of the stages.
    pub(super) fn reference(&self, reference: &ReferenceSpec) -> ReferenceSpec {
        let matrix = self.matrix.as_ref().and_then(|(_, matrix)| matrix.get_ref().as_table());
        let include = matrix.and_then(|axes| axes.get("include")?.get_ref().as_array());
        let varies = |param: &str| {
            let mut added = include.into_iter().flatten().filter_map(|entry| entry.get_ref().as_table());
            matrix.is_some_and(|axes| axes.contains_key(param)) || added.any(|entry| entry.contains_key(param))
        };
        let is_set = |param| self.body.get_ref().contains_key(param) || varies(param);
        let has = |(param, word): (&str, &str)| {
            let value = self.body.get_ref().get(param).and_then(|value| value.get_ref().as_str());
            value == Some(word) || varies(param)
        };
        let several = reference.several_with.is_some_and(is_set) || reference.several_if.is_some_and(has);
        ReferenceSpec { many: reference.many || several, ..*reference }
    }
}

/// The sections of the file: key, section of the kinds, whether it is a list.
pub(super) const SECTIONS: [(&str, Section, bool); 8] = [
    ("datasets", Section::Datasets, false),
    ("stages", Section::Stages, false),
    ("tables", Section::Tables, true),
    ("data_tables", Section::DataTables, true),
    ("figures", Section::Figures, true),
    ("overlays", Section::Overlays, true),
    ("models", Section::Models, true),
    ("files", Section::Files, true),
];

/// Reads one section of the file into families.
pub(super) struct Reader<'a, 'i> {
    pub(super) section: &'static str,
    pub(super) kind: Section,
    pub(super) vocabulary: &'a Kinds,
    pub(super) families: &'a mut Vec<Family<'i>>,
    pub(super) faults: &'a mut Vec<Diagnostic>,
}

impl<'i> Reader<'_, 'i> {
    /// `[stages.NAME]`, `[datasets.NAME]`.
    pub(super) fn named(&mut self, value: Spanned<DeValue<'i>>) {
        if !value.get_ref().is_table() {
            let wanted = format!("tables, as `[{}.NAME]`", self.section);
            return self.faults.push(wrong_type(self.section, &value, &wanted));
        }
        let DeValue::Table(table) = value.into_inner() else { return };
        for (key, value) in table {
            let name = key.get_ref().to_string();
            let span = value.span();
            if !value.get_ref().is_table() {
                let wanted = format!("a table, as `[{}.{}]`", self.section, wording::escape(&name));
                self.faults.push(wrong_type(&name, &value, &wanted));
                continue;
            }
            if !wording::is_name(&name) {
                self.faults.push(
                    Diagnostic::new(key.span(), format!("a stage cannot be called {}", quote(&name)))
                        .label("expected letters, digits, `_` and `-`, 1 to 100 of them"),
                );
            } else if SECTIONS.iter().any(|(section, _, listed)| *listed && *section == name) {
                self.faults.push(
                    Diagnostic::new(key.span(), format!("a stage cannot be called {}", quote(&name)))
                        .label(format!("this is how the names of `[[{name}]]` start")),
                );
            }
            let DeValue::Table(mut body) = value.into_inner() else { continue };
            let matrix = body.remove_entry("matrix");
            let limits = limits::take(&mut body, self.faults);
            let spec =
                if self.kind == Section::Stages { self.kind_of(&name, &key, &mut body) } else { self.implied(&key) };
            let (place, body) = (key.span(), Spanned::new(span, body));
            self.families.push(Family { name, place, spec, body, matrix, limits });
        }
    }

    /// `[[tables]]`, `[[data_tables]]`, `[[figures]]`, `[[overlays]]`, `[[models]]`, `[[files]]`.
    pub(super) fn list(&mut self, value: Spanned<DeValue<'i>>) {
        let span = value.span();
        let items = match value.into_inner() {
            DeValue::Array(items) => items.into_iter().collect(),
            table @ DeValue::Table(_) => {
                self.faults.push(
                    Diagnostic::new(span.clone(), format!("`{}` is a list", self.section))
                        .label(format!("expected `[[{}]]` with two brackets", self.section)),
                );
                vec![Spanned::new(span, table)]
            }
            other => {
                let wanted = format!("tables, as `[[{}]]`", self.section);
                return self.faults.push(wrong_type(self.section, &Spanned::new(span, other), &wanted));
            }
        };
        for item in items {
            let span = item.span();
            let DeValue::Table(body) = item.into_inner() else {
                let message = format!("wrong type in `{}`", self.section);
                self.faults.push(Diagnostic::new(span, message).label("expected a table"));
                continue;
            };
            let Some(file) = body.get("file") else {
                self.faults.push(
                    Diagnostic::new(span, "missing `file`").label(format!(
                        "each `[[{}]]` needs `file = \"…\"`, the name of the file to write",
                        self.section
                    )),
                );
                continue;
            };
            let Some(file_name) = name_of("file", file, self.faults) else { continue };
            let place = file.span();
            let key = Spanned::new(span.clone(), DeString::from(self.section));
            let spec = self.implied(&key);
            let name = format!("{}.{file_name}", self.section);
            let (body, limits) = (Spanned::new(span, body), Limits::default());
            self.families.push(Family { name, place, spec, body, matrix: None, limits });
        }
    }

    /// The kind of a section that has only one.
    fn implied(&mut self, key: &Spanned<DeString<'i>>) -> Option<&'static Kind> {
        let spec = self.vocabulary.iter().copied().find(|spec| spec.section == self.kind);
        if spec.is_none() {
            self.faults.push(Diagnostic::new(key.span(), format!("this program has no `{}`", self.section)));
        }
        spec
    }

    /// Takes `kind` out of the table and looks it up.
    fn kind_of(&mut self, name: &str, key: &Spanned<DeString<'i>>, body: &mut DeTable<'i>) -> Option<&'static Kind> {
        let here = self.vocabulary.iter().copied().filter(|spec| spec.section == Section::Stages);
        let words: Vec<&str> = here.map(|spec| spec.name).collect();
        let Some(value) = body.remove("kind") else {
            let misspelt = in_file_order(body).into_iter().map(|(key, _)| key);
            let misspelt = { misspelt }.find(|key| wording::nearest(key.get_ref(), ["kind"]).is_some());
            let span = misspelt.map_or(key.span(), |key| key.span());
            let fault = Diagnostic::new(span, format!("stage {} has no `kind`", quote(name)));
            let fault = match misspelt {
                Some(_) => fault.label("did you mean `kind`?"),
                None => fault.label("expected `kind = \"…\"` below this"),
            };
            self.faults.push(fault.note(wording::expected_one_of(words)));
            return None;
        };
        let DeValue::String(kind) = value.get_ref() else {
            self.faults.push(wrong_type("kind", &value, "a string"));
            return None;
        };
        let spec = self.vocabulary.iter().copied().find(|spec| spec.name == kind.as_ref());
        match spec {
            Some(spec) if spec.section == Section::Stages => return Some(spec),
            Some(spec) => {
                let (section, _, listed) = SECTIONS.into_iter().find(|(_, kind, _)| *kind == spec.section)?;
                let header = if listed { format!("[[{section}]]") } else { format!("[{section}.{name}]") };
                self.faults.push(
                    Diagnostic::new(value.span(), format!("{} is not written as a stage", quote(kind)))
                        .help(format!("write it as `{header}`, without `kind`")),
                );
            }
            None => self.faults.push(
                Diagnostic::new(value.span(), format!("unknown kind of stage {}", quote(kind)))
                    .meant(wording::nearest(kind, words.iter().copied()))
                    .note(wording::expected_one_of(words)),
            ),
        }
        None
    }
}

/// Adds an error for each name that is given twice. Data sets and stages share their names.
pub(super) fn clashes(families: &[Family<'_>], faults: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<&str, &Family<'_>> = BTreeMap::new();
    for family in families {
        if let Some(other) = first.get(family.name.as_str()) {
            faults.push(
                Diagnostic::new(family.place.clone(), format!("two stages are called {}", quote(&family.name)))
                    .label("the second")
                    .other(other.place.clone(), "the first"),
            );
        } else {
            first.insert(&family.name, family);
        }
    }
}

/// The value, if it can name a folder or file; else an error.
pub(super) fn name_of(key: &str, value: &Spanned<DeValue<'_>>, faults: &mut Vec<Diagnostic>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) if wording::is_file_name(text) => return Some(text.to_string()),
        DeValue::String(text) => faults.push(
            Diagnostic::new(value.span(), format!("{} cannot name a file", quote(text)))
                .label("expected letters, digits, `.`, `_` and `-`, 1 to 100 of them, no `.` in front"),
        ),
        _ => faults.push(wrong_type(key, value, "a string")),
    }
    None
}
