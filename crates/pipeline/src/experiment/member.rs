//! One member of a family, as a matrix makes it.

use super::choice::Choice;
use std::rc::Rc;
use toml::Spanned;
use toml::de::DeString;

/// One member of a family before its parameters are read.
pub(super) struct Member<'i> {
    /// The names of its family and the labels of its values, joined by dots.
    pub(super) label: String,
    /// Key and label of each value.
    pub(super) axes: Vec<(String, String)>,
    /// The values that go into the stage's table.
    pub(super) settings: Vec<Setting<'i>>,
}

/// A key of the matrix with one value for it.
pub(super) type Setting<'i> = (Spanned<DeString<'i>>, Rc<Choice<'i>>);

/// A key of the matrix with its values.
pub(super) struct Axis<'i> {
    pub(super) key: Spanned<DeString<'i>>,
    pub(super) choices: Vec<Rc<Choice<'i>>>,
}

/// The keys of a member with the labels of their values.
pub(super) fn axes_of(settings: &[Setting<'_>]) -> Vec<(String, String)> {
    let label = |(key, choice): &Setting<'_>| Some((key.get_ref().to_string(), choice.label.clone()?));
    settings.iter().filter_map(label).collect()
}
