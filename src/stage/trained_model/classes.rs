//! The classes of a data set as they are written in masks.

use crate::data::{Color, IGNORE, Manifest};
use crate::predict::model::ClassDescription;
use crate::report;
use std::collections::BTreeMap;

/// By index. A class has the value that it has in the masks of the data set; where masks have no values, or several for one
/// class, all classes have their index.
pub(super) fn of(manifest: &Manifest) -> Vec<ClassDescription> {
    let values = values(manifest);
    let class = |(index, name): (u8, &String)| ClassDescription {
        name: name.clone(),
        value: values.get(&index).copied().unwrap_or(index),
        color: color(manifest, index),
        ignored: manifest.ignore_classes.contains(&index),
    };
    (0..=u8::MAX).zip(&manifest.classes).map(class).collect()
}

/// The only value of each class; empty if a class has none or several.
fn values(manifest: &Manifest) -> BTreeMap<u8, u8> {
    let mut values = BTreeMap::new();
    for (&value, &class) in manifest.label_values.iter().filter(|(_, class)| **class != IGNORE) {
        if values.insert(class, value).is_some() {
            return BTreeMap::new();
        }
    }
    if values.len() == manifest.classes.len() { values } else { BTreeMap::new() }
}

/// The only colour of a class in masks; else that of figures.
fn color(manifest: &Manifest, index: u8) -> Color {
    let mut own = manifest.label_colors.iter().filter(|(_, class)| **class == index);
    match (own.next(), own.next()) {
        (Some((color, _)), None) => *color,
        _ => Color(report::class_colour(index)),
    }
}
