//! What is wrong with annotation files as a whole: names that are no class, and shapes without area.

use super::file::AnnotationFile;
use super::rules::AnnotationRules;
use super::shape::Region;
use crate::DataError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest number of names that are listed.
const LISTED: usize = 20;

/// Names and shapes of several files that have no meaning by the rules.
#[derive(Debug, Default)]
pub(crate) struct Unknown {
    /// Number of shapes, and the first file, by name.
    names: BTreeMap<String, (usize, PathBuf)>,
    /// Shapes without area: number, the first file and place, by kind.
    no_area: BTreeMap<String, (usize, PathBuf, String)>,
}

impl Unknown {
    /// Adds what is unknown in the entries `of` a file.
    pub(crate) fn add(&mut self, path: &Path, file: &AnnotationFile, of: &[usize], rules: &AnnotationRules) {
        for image in of.iter().filter_map(|&i| file.images.get(i)) {
            for shape in &image.shapes {
                let meaning = rules.names.get(&shape.name);
                if let (Region::NoArea(kind), false) = (&shape.region, meaning == Some(&None)) {
                    let place = || format!("{}, {} (\"{}\")", image.name, shape.place, shape.name);
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
    /// One error for all unknown names, and one for each kind of shape without area.
    pub(crate) fn check(self, classes: &[String]) -> Result<(), DataError> {
        let mut errors = Vec::new();
        if let Some((_, path)) = self.names.values().next() {
            let listed = self.names.iter().take(LISTED).map(|(name, (count, _))| match count {
                1 => format!("\"{name}\" (1 shape)"),
                count => format!("\"{name}\" ({count} shapes)"),
            });
            let mut text = listed.collect::<Vec<_>>().join(", ");
            if self.names.len() > LISTED {
                text += &format!(" and {} more", self.names.len() - LISTED);
            }
            let first = self.names.keys().next().map_or("", String::as_str);
            let alike = classes.iter().find(|class| class.eq_ignore_ascii_case(first)).or(classes.first());
            let cure = format!(
                "correct `classes`, or add `names = {{ \"{first}\" = \"{}\" }}` (or \"ignore\" for ignored pixels, \"none\" \
                 for shapes that are not drawn)",
                alike.map_or("", String::as_str)
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
}
