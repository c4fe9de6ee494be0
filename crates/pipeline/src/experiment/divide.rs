//! Members that are divided into parts: `folds = 5` makes five stages of one.
//!
//! This is an axis of the matrix that the user does not write, and not a loop inside of the stage, so that each part has a key, a
//! checkpoint, a line of progress and a place in tables of its own.

use super::choice::{Choice, Chooser};
use super::diagnostic::Diagnostic;
use super::matrix::too_many;
use super::member::Member;
use crate::parameters::vocabulary::Division;
use crate::parameters::wording::{count, quote};
use std::rc::Rc;
use toml::Spanned;
use toml::de::{DeString, DeValue};

/// The numbers of the parts as TOML: as many as [`Division::MOST`].
const NUMBERS: &str = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]";

/// `members` with each one that sets its kind's [`Division::count`] divided, to `most` members at most. A member that sets the
/// [`Division::index`] itself stays as it is, and so does one whose count is out of range, which its kind refuses.
pub(super) fn into_parts<'i>(
    members: Vec<Member<'i>>,
    chooser: &Chooser<'_, '_, 'i>,
    most: usize,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Member<'i>> {
    let Some(division) = chooser.family.spec.and_then(|spec| spec.divided) else { return members };
    let mut parts = Vec::with_capacity(members.len());
    for member in members {
        let Some((key, number)) = count_of(&member, division, chooser) else {
            parts.push(member);
            continue;
        };
        parts.extend(divided(&member, division, key.span(), number));
        if parts.len() > most {
            let what =
                format!("`{}` makes more than {} of {}", division.count, count(most, "stage"), quote(chooser.name()));
            faults.push(too_many(key.span(), &what, chooser.max_stages));
            return Vec::new();
        }
    }
    parts
}

/// The number of parts of `member`, and the key that says it.
fn count_of<'m, 'i>(
    member: &'m Member<'i>,
    division: Division,
    chooser: &'m Chooser<'_, '_, 'i>,
) -> Option<(&'m Spanned<DeString<'i>>, usize)> {
    let body = chooser.family.body.get_ref();
    let set = |word: &str| {
        let in_matrix = member.settings.iter().find(|(key, _)| key.get_ref() == word);
        let in_matrix = in_matrix.map(|(key, choice)| (key, choice.value.get_ref()));
        in_matrix.or_else(|| body.get_key_value(word).map(|(key, value)| (key, value.get_ref())))
    };
    let (key, value) = set(division.count)?;
    let DeValue::Integer(number) = value else { return None };
    let number = usize::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()?;
    let is_possible = (2..=Division::MOST).contains(&number) && set(division.index).is_none();
    is_possible.then_some((key, number))
}

fn divided<'i>(
    member: &Member<'i>,
    division: Division,
    span: std::ops::Range<usize>,
    number: usize,
) -> Vec<Member<'i>> {
    let numbers = DeValue::parse(NUMBERS).ok().map(Spanned::into_inner);
    let Some(DeValue::Array(numbers)) = numbers else { return Vec::new() };
    let part = |value: Spanned<DeValue<'i>>, index: usize| {
        let label = format!("{}{index}", division.index);
        let value = Spanned::new(span.clone(), value.into_inner());
        let key = Spanned::new(span.clone(), DeString::from(division.index));
        let choice = Choice { label: Some(label.clone()), value, targets: Rc::default() };
        let mut axes = member.axes.clone();
        axes.push((division.index.to_owned(), label.clone()));
        let mut settings = member.settings.clone();
        settings.push((key, Rc::new(choice)));
        Member { label: format!("{}.{label}", member.label), axes, settings }
    };
    numbers.into_iter().zip(1..=number).map(|(value, index)| part(value, index)).collect()
}
