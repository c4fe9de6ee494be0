//! Checks of `classes`, `values` and `colors` of a data set.

use super::params::{Classes, DatasetParams, ParamProblem};
use crate::stem::composed;
use crate::{ClassColor, Color, IGNORE};
use std::collections::BTreeMap;

/// The class names in a list, checked; `None` without `classes`.
///
/// # Errors
/// Too few or too many, twice the same, or a name that would not be seen in a table.
pub(super) fn names(params: &DatasetParams) -> Result<Option<&[String]>, ParamProblem> {
    let names = match &params.classes {
        None => return Ok(None),
        Some(Classes::Scheme(_)) => {
            return Err(ParamProblem::new("classes", "name the classes in a list: [\"matrix\", \"pores\"]"));
        }
        Some(Classes::Names(names)) if (2..IGNORE as usize).contains(&names.len()) => names,
        Some(Classes::Names(_)) => {
            return Err(ParamProblem::new("classes", "name at least two classes and at most 254"));
        }
    };
    for (i, name) in names.iter().enumerate() {
        let problem = if name.trim().is_empty() || name.chars().all(is_unseen) {
            "is empty: every class needs a name that can be seen in tables"
        } else if name.chars().any(char::is_control) {
            "holds a line break, a tab or another control character: leave it out"
        } else if name.trim() != name {
            "begins or ends with a space: leave it out"
        } else if name.chars().any(is_unseen) {
            "holds a character that cannot be seen: type the name again"
        } else {
            continue;
        };
        return Err(ParamProblem::new("classes", format!("the name of class {i}, {name:?}, {problem}")));
    }
    for (i, name) in names.iter().enumerate() {
        if let Some(other) = names[..i].iter().find(|other| composed(other) == composed(name)) {
            let how = if other == name { "" } else { ", with letters that are composed differently (NFC and NFD)" };
            return Err(ParamProblem::new("classes", format!("\"{name}\" occurs twice{how}")));
        }
    }
    Ok(Some(names))
}

/// Characters without width: zero-width spaces and joiners, soft hyphens, byte order marks.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// Checks that each class has one label value.
pub(super) fn check_values(params: &DatasetParams, names: &[String]) -> Result<(), ParamProblem> {
    if params.ignore_color.is_some() {
        return Err(ParamProblem::new("ignore_color", "needs `colors`; for label values use `ignore_label`"));
    }
    let values = params.values.as_deref().unwrap_or_default();
    if values.len() != names.len() {
        let message = format!("{} values for {} classes: give one for each", values.len(), names.len());
        return Err(ParamProblem::new("values", message));
    }
    if let Some(twice) = (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
        return Err(ParamProblem::new("values", format!("{} occurs twice", values[twice])));
    }
    if params.ignore_label.is_some_and(|label| values.contains(&label)) {
        return Err(ParamProblem::new("ignore_label", "is also the value of a class"));
    }
    Ok(())
}

/// Checks that each class has a colour, that no other name has one, and that no colour occurs twice.
pub(super) fn check_colors(
    params: &DatasetParams,
    names: &[String],
    colors: &BTreeMap<String, ClassColor>,
) -> Result<(), ParamProblem> {
    if params.values.is_some() || params.ignore_label.is_some() {
        let param = if params.values.is_some() { "values" } else { "ignore_label" };
        return Err(ParamProblem::new(param, "masks hold either label values or colours: leave out this or `colors`"));
    }
    if let Some(name) = names.iter().find(|name| !colors.contains_key(*name)) {
        return Err(ParamProblem::new("colors", format!("no colour for \"{name}\": give one for each class")));
    }
    if let Some(name) = colors.keys().find(|name| !names.contains(name)) {
        return Err(ParamProblem::new("colors", format!("\"{name}\" is not among `classes`")));
    }
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    for (name, &color) in colors {
        if let Some(other) = seen.insert(color.into(), name) {
            let color = String::from(color);
            return Err(ParamProblem::new("colors", format!("\"{other}\" and \"{name}\" are both {color}")));
        }
    }
    match params.ignore_color.and_then(|color| seen.get(&String::from(color))) {
        Some(name) => Err(ParamProblem::new("ignore_color", format!("is also the colour of \"{name}\""))),
        None => Ok(()),
    }
}

/// The class of each colour, and that of every other colour.
pub(super) fn classes_of_colors(params: &DatasetParams, names: &[String]) -> (BTreeMap<Color, u8>, Option<u8>) {
    let (mut colors, mut other) = (BTreeMap::new(), None);
    for (name, class) in names.iter().zip(0..) {
        match params.colors.as_ref().and_then(|colors| colors.get(name)) {
            Some(ClassColor::One(color)) => drop(colors.insert(*color, class)),
            Some(ClassColor::Other) => other = Some(class),
            None => {}
        }
    }
    (colors, other)
}
