//! From names in parameters to members of families.

use super::diagnostic::Diagnostic;
use super::families::Family;
use super::pattern::Pattern;
use super::syntax::wrong_type;
use crate::parameters::in_file_order;
use crate::parameters::vocabulary::ReferenceSpec;
use crate::parameters::wording::{self, quote};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

/// A member of a family, as a parameter names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Index of its family.
    pub(super) family: usize,
    /// Index in its family.
    pub(super) member: usize,
    /// The member's own label, or the one that the parameter gives it.
    pub(super) label: String,
}

/// The members of one family, as far as they are known.
#[derive(Default)]
pub(super) struct Members {
    labels: Vec<String>,
    index: BTreeMap<String, usize>,
    /// False before the family is expanded, and if its matrix has errors. A name that is not found may then be right.
    complete: bool,
}

impl Members {
    /// Of two members with one label the first is found; the error is reported by `matrix`.
    pub(super) fn new(labels: Vec<String>, complete: bool) -> Self {
        let index = match labels.len() {
            // Most families have one member, and a map would cost more than everything else about them.
            0 | 1 => BTreeMap::new(),
            _ => labels.iter().enumerate().rev().map(|(index, label)| (label.clone(), index)).collect(),
        };
        Members { labels, index, complete }
    }

    /// The member called `label`.
    fn find(&self, label: &str) -> Option<usize> {
        match &self.labels[..] {
            [only] => (only == label).then_some(0),
            _ => self.index.get(label).copied(),
        }
    }
}

/// The names of all families, and of their members as far as these are known.
pub(super) struct Names<'d, 'i> {
    families: &'d [Family<'i>],
    by_name: BTreeMap<&'d str, usize>,
    members: Vec<Members>,
}

/// The result of looking up a name.
pub(super) enum Found {
    /// At least one member.
    Members(Vec<Target>),
    /// Nothing that is known; the error is reported.
    Unknown,
}

impl<'d, 'i> Names<'d, 'i> {
    pub(super) fn new(families: &'d [Family<'i>]) -> Self {
        let by_name = families.iter().enumerate().rev().map(|(index, family)| (family.name.as_str(), index)).collect();
        Names { families, by_name, members: families.iter().map(|_| Members::default()).collect() }
    }

    pub(super) fn set_members(&mut self, family: usize, members: Members) {
        self.members[family] = members;
    }

    /// The stages that the value of a parameter names, in the order of the file. `None` if the value is no name, but a
    /// value in its place (where `spec.optional`).
    pub(super) fn resolve(
        &self,
        value: &Spanned<DeValue<'_>>,
        spec: &ReferenceSpec,
        asker: usize,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Found> {
        let mut targets = Vec::new();
        let mut known = true;
        match value.get_ref() {
            DeValue::String(name) if spec.is_path(name) => return None,
            DeValue::String(name) => {
                let found = self.find(name, value.span(), spec, asker, faults);
                return Some(single(found, name, value.span(), spec, faults));
            }
            DeValue::Array(items) if spec.many => {
                let mut seen = BTreeSet::new();
                for item in items {
                    let found = self.list_item(item, spec, asker, faults);
                    known &= matches!(found, Found::Members(_));
                    if let Found::Members(found) = found {
                        targets.extend(found.into_iter().filter(|target| seen.insert((target.family, target.member))));
                    }
                }
            }
            DeValue::Table(table) if spec.many => {
                for (label, item) in in_file_order(table) {
                    let found = match item.get_ref() {
                        DeValue::Array(items) => {
                            items.iter().map(|item| self.list_item(item, spec, asker, faults)).collect()
                        }
                        _ => vec![self.list_item(item, spec, asker, faults)],
                    };
                    for found in found {
                        known &= matches!(found, Found::Members(_));
                        if let Found::Members(found) = found {
                            let labelled = |target| Target { label: label.get_ref().to_string(), ..target };
                            targets.extend(found.into_iter().map(labelled));
                        }
                    }
                }
            }
            _ if spec.optional => return None,
            _ => {
                let wanted = if spec.many { "the name of a stage, or a list of names" } else { "the name of a stage" };
                faults.push(wrong_type(spec.param, value, wanted).note(self.of_these(spec, asker)));
                return Some(Found::Unknown);
            }
        }
        if targets.is_empty() && known {
            let fault = Diagnostic::new(value.span(), format!("`{}` names no stage", spec.param));
            faults.push(fault.label("expected at least one name").note(self.of_these(spec, asker)));
        }
        Some(if known && !targets.is_empty() { Found::Members(targets) } else { Found::Unknown })
    }

    fn list_item(
        &self,
        item: &Spanned<DeValue<'_>>,
        spec: &ReferenceSpec,
        asker: usize,
        faults: &mut Vec<Diagnostic>,
    ) -> Found {
        match item.get_ref() {
            DeValue::String(name) => self.find(name, item.span(), spec, asker, faults),
            _ => {
                faults.push(wrong_type(spec.param, item, "the name of a stage").note(self.of_these(spec, asker)));
                Found::Unknown
            }
        }
    }

    /// The stages that `name` names in the family `asker`, however many.
    pub(super) fn find(
        &self,
        name: &str,
        span: Range<usize>,
        spec: &ReferenceSpec,
        asker: usize,
        faults: &mut Vec<Diagnostic>,
    ) -> Found {
        let pattern = match Pattern::parse(name) {
            Ok(pattern) => pattern,
            Err(message) => {
                let fault = Diagnostic::new(span, format!("{} is not a valid pattern", quote(name)));
                faults.push(fault.label(wording::escape(&message)));
                return Found::Unknown;
            }
        };
        let allowed = |family: usize| self.families[family].spec.is_none_or(|kind| spec.kinds.contains(&kind.name));
        let mut targets = Vec::new();
        let mut of_wrong_kind = None;
        let mut complete = true;
        for family in pattern.reached(&self.by_name, asker) {
            let members = &self.members[family];
            if !allowed(family) {
                of_wrong_kind = of_wrong_kind.or(Some(family));
                continue;
            }
            complete &= members.complete;
            let target = |member: usize| Target { family, member, label: members.labels[member].clone() };
            match pattern {
                Pattern::Exact(text) if text != self.families[family].name => match members.find(text) {
                    Some(found) => targets.push(target(found)),
                    None => targets.extend(self.parts(family, text).into_iter().map(target)),
                },
                _ => {
                    let name = &self.families[family].name;
                    let matching =
                        (0..members.labels.len()).filter(|&index| pattern.matches(name, &members.labels[index]));
                    targets.extend(matching.map(target));
                }
            }
        }
        if !targets.is_empty() {
            return Found::Members(targets);
        }
        // The errors of an incomplete family are reported already.
        if complete || faults.is_empty() {
            faults.push(match of_wrong_kind {
                Some(family) => self.wrong_kind(name, span, spec, asker, family),
                None => self.nothing(name, span, spec, asker, faults.len()),
            });
        }
        Found::Unknown
    }

    /// The members of `family` into which the member called `label` is divided.
    fn parts(&self, family: usize, label: &str) -> Vec<usize> {
        let labels = &self.members[family].labels;
        (0..labels.len()).filter(|&member| self.whole(family, &labels[member]) == Some(label)).collect()
    }

    /// The name of the stage that the member `label` is a part of, if its kind is [divided](crate::stage::Kind::divided).
    fn whole<'l>(&self, family: usize, label: &'l str) -> Option<&'l str> {
        let division = self.families[family].spec?.divided?;
        let (whole, part) = label.rsplit_once('.')?;
        let number = part.strip_prefix(division.index)?;
        (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(whole)
    }

    /// The targets in groups that are parts of one stage, each with the name of that stage.
    pub(super) fn undivided(&self, targets: Vec<Target>) -> Vec<(String, Vec<Target>)> {
        let mut groups: Vec<(String, Vec<Target>)> = Vec::new();
        for target in targets {
            let whole = self.whole(target.family, &target.label).unwrap_or(&target.label).to_owned();
            match groups.iter_mut().find(|(label, _)| *label == whole) {
                Some((_, parts)) => parts.push(target),
                None => groups.push((whole, vec![target])),
            }
        }
        groups
    }

    fn wrong_kind(
        &self,
        name: &str,
        span: Range<usize>,
        spec: &ReferenceSpec,
        asker: usize,
        family: usize,
    ) -> Diagnostic {
        let family = &self.families[family];
        let kind = family.spec.map_or("", |kind| kind.name);
        Diagnostic::new(span, format!("{} is of the wrong kind", quote(name)))
            .label(format!("{}, not `{kind}`", takes(spec)))
            .other(family.place.clone(), format!("a stage of kind `{kind}`"))
            .note(self.of_these(spec, asker))
    }

    fn nothing(
        &self,
        name: &str,
        span: Range<usize>,
        spec: &ReferenceSpec,
        asker: usize,
        reported: usize,
    ) -> Diagnostic {
        if let Ok(Pattern::Glob { .. }) = Pattern::parse(name) {
            let (head, rest) = name.split_at(name.find('.').unwrap_or(name.len()));
            let meant = wording::nearest(head, self.by_name.keys().copied().filter(|family| *family != head));
            let meant = meant.map(|family| format!("{family}{rest}"));
            return Diagnostic::new(span, format!("{} matches no stage", quote(name)))
                .label(takes(spec))
                .meant(meant.as_deref())
                .note(self.of_these(spec, asker));
        }
        // The search compares all names: after a hundred errors it is not worth its time.
        let all = self.members.iter().flat_map(|members| members.labels.iter().map(String::as_str));
        let all = all.chain(self.by_name.keys().copied());
        let meant = if reported < 100 { wording::nearest(name, all) } else { None };
        Diagnostic::new(span, format!("there is no stage {}", quote(name)))
            .label(takes(spec))
            .meant(meant)
            .note(self.of_these(spec, asker))
    }

    /// A note that lists the stages that would fit.
    pub(super) fn of_these(&self, spec: &ReferenceSpec, asker: usize) -> Option<String> {
        let fits = |kind: &str| spec.kinds.contains(&kind);
        let others = self.families.iter().enumerate().filter(|(index, _)| *index != asker).map(|(_, family)| family);
        let fitting = others.filter(|family| family.spec.is_some_and(|spec| fits(spec.name)));
        let fitting: Vec<&str> = fitting.map(|family| family.name.as_str()).collect();
        Some(match fitting.len() {
            0 => format!("this file has no other stage of kind {}", wording::or_list(spec.kinds)),
            _ => format!("stages of this kind here: {}", wording::list(fitting, 12)),
        })
    }
}

/// Says what a parameter takes.
fn takes(spec: &ReferenceSpec) -> String {
    let path = if spec.paths { ", or a path, which has a `/`" } else { "" };
    format!("`{}` takes a stage of kind {}{path}", spec.param, wording::or_list(spec.kinds))
}

/// `found`, with an error if it has several members and the parameter takes one.
fn single(found: Found, name: &str, span: Range<usize>, spec: &ReferenceSpec, faults: &mut Vec<Diagnostic>) -> Found {
    match found {
        Found::Members(targets) if targets.len() > 1 && !spec.many => {
            let labels = targets.iter().map(|target| target.label.as_str());
            let name = wording::escape(name);
            faults.push(
                Diagnostic::new(span, format!("`{name}` names {} stages", targets.len()))
                    .label(format!("`{}` takes one", spec.param))
                    .help(match spec.several_with {
                        Some(with) => format!(
                            "`matrix.{} = [\"{name}\"]` makes one stage for each, `{with} = true` one of all together",
                            spec.param
                        ),
                        None => format!("`matrix.{} = [\"{name}\"]` makes one stage for each", spec.param),
                    })
                    .note(format!("they are {}", wording::list(labels, 8))),
            );
            Found::Unknown
        }
        found => found,
    }
}
