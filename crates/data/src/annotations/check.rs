//! What is wrong with annotation files as a whole: names that are no class, and shapes without area.

use super::file::AnnotationFile;
use super::problem::Place;
use super::rules::AnnotationRules;
use super::shape::Region;
use crate::DataError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Largest number of names that are listed.
const LISTED: usize = 20;
/// Largest number of names for which a line of `names` is proposed.
const PROPOSED: usize = 3;
/// How alike a name and a class must be (1: equal).
const ALIKE: f64 = 0.8;

/// Names and shapes of several files that have no meaning by the rules.
#[derive(Debug, Default)]
pub(crate) struct Unknown {
    /// Number of shapes, and the first file, by name.
    names: BTreeMap<String, (usize, PathBuf)>,
    /// Shapes without area: number, the first file and place, by kind.
    no_area: BTreeMap<String, (usize, PathBuf, String)>,
    /// The attributes that shapes have, where the class is one of them.
    attributes: BTreeSet<String>,
}

impl Unknown {
    /// Adds what is unknown in the entries `of` a file.
    pub(crate) fn add(&mut self, path: &Path, file: &AnnotationFile, of: &[usize], rules: &AnnotationRules) {
        self.attributes.extend(file.attributes.iter().cloned());
        for image in of.iter().filter_map(|&i| file.images.get(i)) {
            for shape in &image.shapes {
                let meaning = rules.names.get(&shape.name);
                if let (Region::NoArea(kind), false) = (&shape.region, meaning == Some(&None)) {
                    let place = || Place { image: &image.name, shape: &shape.place, name: &shape.name }.to_string();
                    let entry = self.no_area.entry(kind.clone());
                    entry.or_insert_with(|| (0, path.to_path_buf(), place())).0 += 1;
                } else if meaning.is_none() {
                    let entry = self.names.entry(shape.name.clone());
                    entry.or_insert_with(|| (0, path.to_path_buf())).0 += 1;
                }
            }
        }
    }

    /// # Errors
    /// One error for all unknown names, one for the shapes without a name, and one for each kind of shape without area.
    /// `attribute`: the attribute that should hold the names.
    pub(crate) fn check(mut self, classes: &[String], attribute: Option<&str>) -> Result<(), DataError> {
        let mut errors = Vec::new();
        if let Some((count, path)) = self.names.remove("") {
            errors.push(self.without_name(count, &path, attribute));
        }
        if let Some((_, path)) = self.names.values().next() {
            let listed = self.names.iter().take(LISTED).map(|(name, (count, _))| match count {
                1 => format!("\"{name}\" (1 shape)"),
                count => format!("\"{name}\" ({count} shapes)"),
            });
            let mut text = listed.collect::<Vec<_>>().join(", ");
            if self.names.len() > LISTED {
                text += &format!(" and {} more", self.names.len() - LISTED);
            }
            let proposed = self
                .names
                .keys()
                .take(PROPOSED)
                .map(|name| format!("\"{name}\" = \"{}\"", alike(name, classes).map_or("<class>", String::as_str)));
            let cure = format!(
                "correct `classes`, or add `names = {{ {}{} }}` (or \"ignore\" for ignored pixels, \"none\" for shapes that \
                 are not drawn)",
                proposed.collect::<Vec<_>>().join(", "),
                if self.names.len() > PROPOSED { ", …" } else { "" }
            );
            errors.push(DataError::bad(path, format!("names that are not in `classes`: {text}"), cure));
        }
        for (kind, (count, path, first)) in &self.no_area {
            let problem = match count {
                1 => format!("1 shape without area ({kind}): {first}"),
                count => format!("{count} shapes without area ({kind}), the first: {first}"),
            };
            let cure = "delete them, draw them as polygons, or map their name to \"none\" in `names`";
            errors.push(DataError::bad(path, problem, cure));
        }
        DataError::check_all(errors)
    }

    fn without_name(&self, count: usize, path: &Path, attribute: Option<&str>) -> DataError {
        if let Some(attribute) = attribute.filter(|attribute| !self.attributes.contains(*attribute))
            && !self.attributes.is_empty()
        {
            let found: Vec<&str> = self.attributes.iter().map(String::as_str).take(LISTED).collect();
            let problem = format!("no region has the attribute {attribute} (found: {})", found.join(", "));
            return DataError::bad(path, problem, "correct `attribute`");
        }
        let shapes = if count == 1 { "1 shape".into() } else { format!("{count} shapes") };
        let cure =
            "give them one where they were drawn, or add `names = { \"\" = \"none\" }` (or a class, or \"ignore\")";
        DataError::bad(path, format!("{shapes} without a class"), cure)
    }
}

/// The class whose name is most like `name`.
fn alike<'c>(name: &str, classes: &'c [String]) -> Option<&'c String> {
    let plain = |text: &str| text.trim().to_lowercase();
    let likeness = |class: &String| strsim::normalized_damerau_levenshtein(&plain(class), &plain(name));
    let (class, likeness) =
        classes.iter().map(|class| (class, likeness(class))).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (likeness >= ALIKE).then_some(class)
}
