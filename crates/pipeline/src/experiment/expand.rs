//! Expands families into members with decoded parameters and resolved inputs.

use super::choice::Chooser;
use super::diagnostic::Diagnostic;
use super::divide;
use super::document::Document;
use super::families::Family;
use super::matrix::{self, Expansion};
use super::member::Member;
use super::parameter_errors;
use super::resolve::{Found, Members, Names, Target};
use crate::parameters::vocabulary::{INPUT, LabelledInput, SpannedTable};
use crate::stage::{Decoded, InputStage, Kind};
use std::rc::Rc;
use toml::Spanned;
use toml::de::DeValue;

/// A member of a family with its decoded parameters.
pub(super) struct DecodedMember {
    /// Name without seed.
    pub(super) label: String,
    pub(super) axes: Vec<(String, String)>,
    pub(super) decoded: Decoded,
    /// In the order of [`Kind::references`].
    pub(super) inputs: Vec<Role>,
}

/// The members that one parameter names.
#[derive(Clone)]
pub(super) struct Role {
    pub(super) param: &'static str,
    pub(super) all_seeds: bool,
    pub(super) targets: Rc<Vec<Target>>,
}

/// The members of every family, by the family's index; in `order` each family comes after those it names.
pub(super) fn all(document: &Document<'_>, order: &[usize], faults: &mut Vec<Diagnostic>) -> Vec<Vec<DecodedMember>> {
    let families = &document.families;
    let mut names = Names::new(families);
    let mut decoded: Vec<Vec<DecodedMember>> = families.iter().map(|_| Vec::new()).collect();
    let mut left = document.max_stages;
    for &at in order {
        let family = &families[at];
        if left == 0 {
            faults.push(matrix::too_many(
                family.place.clone(),
                "the experiment has too many stages",
                document.max_stages,
            ));
            break;
        }
        let expansion = expand(&Chooser { family, at, names: &names, max_stages: document.max_stages }, left, faults);
        left = left.saturating_sub(expansion.members.len());
        let labels = expansion.members.iter().map(|member| member.label.clone()).collect();
        if let Some(spec) = family.spec {
            decoded[at] = decode(family, at, spec, &expansion.members, (&names, &decoded), faults);
        }
        names.set_members(at, Members::new(labels, expansion.complete && family.spec.is_some()));
    }
    decoded
}

fn expand<'i>(chooser: &Chooser<'_, '_, 'i>, left: usize, faults: &mut Vec<Diagnostic>) -> Expansion<'i> {
    let expansion = match &chooser.family.matrix {
        Some(matrix) => matrix::expand(matrix, chooser, left, faults),
        None => {
            let member = Member { label: chooser.family.name.clone(), axes: Vec::new(), settings: Vec::new() };
            Expansion { members: vec![member], complete: true }
        }
    };
    let before = faults.len();
    let members = divide::into_parts(expansion.members, chooser, left, faults);
    Expansion { members, complete: expansion.complete && faults.len() == before }
}

/// Decodes the parameters and resolves the inputs of each member. `earlier` has the members of the families that it names.
fn decode<'i>(
    family: &Family<'i>,
    at: usize,
    spec: &'static Kind,
    members: &[Member<'i>],
    (names, earlier): (&Names<'_, 'i>, &[Vec<DecodedMember>]),
    faults: &mut Vec<Diagnostic>,
) -> Vec<DecodedMember> {
    /// Maximum number of faults in a family before the rest of its members is skipped.
    const MOST_FAULTS: usize = 100;
    let mut named: Vec<&str> = Vec::new();
    let mut roles: Vec<Role> = Vec::new();
    let mut all_known = true;
    for reference in spec.references {
        let Some(value) = family.body.get_ref().get(reference.param) else { continue };
        let Some(found) = names.resolve(value, &family.reference(reference), at, faults) else { continue };
        named.push(reference.param);
        match found {
            Found::Members(targets) => {
                let targets = Rc::new(targets);
                roles.push(Role { param: reference.param, all_seeds: reference.all_seeds, targets });
            }
            Found::Unknown => all_known = false,
        }
    }
    // With an empty or broken matrix the stage's own parameters are still checked.
    let nameless = Member { label: family.name.clone(), axes: Vec::new(), settings: Vec::new() };
    let probes: &[Member<'i>] = if members.is_empty() { std::slice::from_ref(&nameless) } else { members };
    let before = faults.len();
    let mut decoded_members = Vec::with_capacity(members.len());
    for member in probes {
        let mut inputs = roles.clone();
        for (key, choice) in &member.settings {
            let reference = spec.references.iter().find(|reference| reference.param == key.get_ref().as_ref());
            if let Some(reference) = reference.filter(|_| !choice.targets.is_empty()) {
                let targets = choice.targets.clone();
                inputs.push(Role { param: reference.param, all_seeds: reference.all_seeds, targets });
            }
        }
        inputs.sort_by_key(|role| spec.references.iter().position(|reference| reference.param == role.param));
        // After a fault members may be missing, and nothing will run.
        let read: &[Role] = if faults.is_empty() { &inputs } else { &[] };
        let mut stages = read
            .iter()
            .flat_map(|role| role.targets.iter().map(|target| (role.param, target)))
            .filter_map(|(param, target)| {
                let stage = &*earlier.get(target.family)?.get(target.member)?.decoded.stage;
                Some(InputStage { param, label: &target.label, stage })
            });
        let parsed = (spec.parse)(table_of(family, &named, member), &mut stages).and_then(|decoded| {
            // Labels can only be checked if all are known.
            let checked = if all_known { decoded.stage.check_labels(&labels_of(&inputs)) } else { Ok(()) };
            checked.map(|()| decoded).map_err(|error| vec![error])
        });
        match parsed {
            Ok(decoded) => {
                for role in &mut inputs {
                    role.all_seeds |= decoded.stage.gathers_seeds(role.param);
                }
                decoded_members.push(DecodedMember {
                    label: member.label.clone(),
                    axes: member.axes.clone(),
                    decoded,
                    inputs,
                });
            }
            Err(errors) => {
                let table = table_of(family, &named, member);
                let context = parameter_errors::Context {
                    family,
                    at,
                    spec,
                    member,
                    table: &table,
                    names,
                    probing: members.is_empty(),
                };
                faults.extend(context.faults(&errors));
                if faults.len() - before > MOST_FAULTS {
                    break;
                }
            }
        }
    }
    decoded_members
}

/// The parameter and the label of each input.
fn labels_of(inputs: &[Role]) -> Vec<LabelledInput<'_>> {
    let labels = inputs.iter().map(|role| role.targets.iter().map(|target| (role.param, target.label.as_str())));
    labels.flatten().collect()
}

/// The table of a member's parameters, with [`INPUT`] as the value of the parameters in `named`.
fn table_of<'i>(family: &Family<'i>, named: &[&str], member: &Member<'i>) -> SpannedTable<'i> {
    let mut table = family.body.clone();
    for param in named {
        if let Some(value) = table.get_mut().get_mut(*param) {
            *value = Spanned::new(value.span(), DeValue::String(INPUT.into()));
        }
    }
    for (key, choice) in &member.settings {
        table.get_mut().insert(key.clone(), choice.value.clone());
    }
    table
}
