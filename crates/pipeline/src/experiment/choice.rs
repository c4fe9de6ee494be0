//! The values that one key of a matrix takes, with their labels.

use super::diagnostic::Diagnostic;
use super::families::Family;
use super::pattern::Pattern;
use super::resolve::{Found, Names, Target};
use super::syntax::{type_name, wrong_type};
use crate::parameters::in_file_order;
use crate::parameters::vocabulary::{INPUT, ReferenceSpec};
use crate::parameters::wording::{self, quote};
use std::rc::Rc;
use toml::Spanned;
use toml::de::{DeString, DeValue};

/// One value of one key of a matrix.
pub(super) struct Choice<'i> {
    /// Its part of the member's name; `None` for a table or list without a label (only in `include`).
    pub(super) label: Option<String>,
    /// The value, with [`INPUT`] in place of names of stages.
    pub(super) value: Spanned<DeValue<'i>>,
    /// The stages that it names.
    pub(super) targets: Rc<Vec<Target>>,
}

/// Reads the values in the matrix of one family.
pub(super) struct Chooser<'a, 'd, 'i> {
    pub(super) family: &'d Family<'i>,
    /// The family's index.
    pub(super) at: usize,
    pub(super) names: &'a Names<'d, 'i>,
    /// For messages.
    pub(super) max_stages: usize,
}

impl<'i> Chooser<'_, '_, 'i> {
    pub(super) fn name(&self) -> &str {
        &self.family.name
    }

    fn reference(&self, key: &str) -> Option<ReferenceSpec> {
        let found = self.family.spec?.references.iter().find(|spec| spec.param == key)?;
        Some(self.family.reference(found))
    }

    /// Adds an error if the stage itself sets the key, too.
    pub(super) fn not_in_body(&self, key: &Spanned<DeString<'_>>, faults: &mut Vec<Diagnostic>) {
        if let Some((body, _)) = self.family.body.get_ref().get_key_value(key.get_ref().as_ref()) {
            let word = key.get_ref();
            faults.push(
                Diagnostic::new(key.span(), format!("{} is set twice", quote(word)))
                    .label("by the matrix")
                    .other(body.span(), "by the stage itself")
                    .help(format!(
                        "remove one of them; `matrix.{} = [value]` is a matrix with one value",
                        wording::escape(word)
                    )),
            );
        }
    }

    /// The values of `matrix.KEY = [value, …]` or `matrix.KEY = { label = value, … }`.
    pub(super) fn axis(
        &self,
        key: &Spanned<DeString<'i>>,
        value: &Spanned<DeValue<'i>>,
        faults: &mut Vec<Diagnostic>,
    ) -> Vec<Rc<Choice<'i>>> {
        let mut choices = Vec::new();
        let word = key.get_ref();
        match value.get_ref() {
            DeValue::Array(items) => items.iter().for_each(|item| self.listed(word, item, &mut choices, faults)),
            DeValue::Table(table) => {
                for (label, item) in in_file_order(table) {
                    let text = clean_word(label.get_ref());
                    if text.is_empty() {
                        faults.push(Diagnostic::new(label.span(), "an empty label"));
                    }
                    choices.push(Choice { label: Some(text), ..self.value(word, item, faults) });
                }
            }
            other => {
                let fault = wrong_type(&format!("matrix.{word}"), value, "a list or a table of label → value");
                let shown = plain_text(other).unwrap_or_else(|| "…".into());
                let shown = if other.is_str() { format!("\"{shown}\"") } else { shown };
                faults.push(fault.help(format!("`matrix.{} = [{}]`", wording::escape(word), wording::escape(&shown))));
                return Vec::new();
            }
        }
        if choices.is_empty() {
            let fault = Diagnostic::new(value.span(), format!("the matrix gives {} no value", quote(word)));
            faults.push(fault.label("expected at least one"));
        }
        choices.into_iter().map(Rc::new).collect()
    }

    /// One item of a list of values; a pattern over stages makes one choice for each stage.
    fn listed(
        &self,
        key: &str,
        item: &Spanned<DeValue<'i>>,
        choices: &mut Vec<Choice<'i>>,
        faults: &mut Vec<Diagnostic>,
    ) {
        let span = item.span();
        if let (Some(spec), DeValue::String(name)) = (self.reference(key), item.get_ref())
            && !spec.is_path(name)
        {
            let input = |label: &str, targets: Vec<Target>| Choice {
                label: Some(label.to_string()),
                value: Spanned::new(span.clone(), DeValue::String(INPUT.into())),
                targets: Rc::new(targets),
            };
            let together = spec.many && matches!(Pattern::parse(name), Ok(Pattern::Exact(_)));
            match self.names.find(name, span.clone(), &spec, self.at, faults) {
                Found::Members(targets) if together => choices.push(input(name, targets)),
                Found::Members(targets) if spec.many && spec.several_with.is_some() => {
                    let undivided = self.names.undivided(targets);
                    choices.extend(undivided.into_iter().map(|(label, parts)| input(&label, parts)));
                }
                Found::Members(targets) => choices.extend(targets.into_iter().map(|target| {
                    let label = target.label.clone();
                    input(&label, vec![target])
                })),
                Found::Unknown => choices.push(input(&clean_label(name), Vec::new())),
            }
            return;
        }
        let mut choice = self.value(key, item, faults);
        let what = type_name(item.get_ref());
        if choice.label.as_deref().is_none_or(str::is_empty) {
            let fault = match choice.label {
                None => Diagnostic::new(span, format!("{what} in a matrix needs a label")),
                Some(_) => Diagnostic::new(span, "the label of this value is empty"),
            };
            faults.push(fault.label("the label becomes part of the stage's name").help(format!(
                "write `matrix.{} = {{ label = …, other = … }}` instead of a list",
                wording::escape(key)
            )));
            choice.label = Some(format!("{}", choices.len()));
        }
        choices.push(choice);
    }

    /// A value as it stands, with names of stages resolved.
    pub(super) fn value(&self, key: &str, value: &Spanned<DeValue<'i>>, faults: &mut Vec<Diagnostic>) -> Choice<'i> {
        let label = plain_text(value.get_ref()).map(|text| clean(&text, value.get_ref()));
        let found = self.reference(key).and_then(|spec| self.names.resolve(value, &spec, self.at, faults));
        let Some(found) = found else {
            return Choice { label, value: value.clone(), targets: Rc::default() };
        };
        let targets = match found {
            Found::Members(targets) => targets,
            Found::Unknown => Vec::new(),
        };
        let label = match (&targets[..], value.get_ref()) {
            ([target], DeValue::String(_)) => Some(target.label.clone()),
            _ => label,
        };
        let input = DeValue::String(INPUT.into());
        Choice { label, value: Spanned::new(value.span(), input), targets: Rc::new(targets) }
    }
}

/// The text of a string, number, truth value or date.
pub(super) fn plain_text(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

/// `text`, the text of `value`, as a label; a number keeps its dot.
pub(super) fn clean(text: &str, value: &DeValue<'_>) -> String {
    if value.is_float() { text.to_string() } else { clean_word(text) }
}

/// The name of a stage that is not there, with its dots: names that rest on it are then not wrong too.
fn clean_label(name: &str) -> String {
    name.split('.').map(clean_word).collect::<Vec<_>>().join(".")
}

/// `text` as a label: letters, digits, `_`, `+` and `-` stay, any other character becomes `-`.
pub(super) fn clean_word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-') { c } else { '-' }).collect()
}
