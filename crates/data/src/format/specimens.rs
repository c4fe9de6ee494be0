//! Which images show the same specimen: all of them must be in one split.

use super::layout::LayoutImage;
use crate::stem::stem;
use crate::{DataError, Split};
use regex::Regex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Finds the specimen of an image.
#[derive(Debug)]
pub(super) enum Specimens {
    /// By the image's stem: the first group of an expression, or all that it matches.
    ByPattern(Regex),
    /// By a table from stem to specimen; with the path of the table, for messages.
    ByTable(BTreeMap<String, String>, PathBuf),
}

impl Specimens {
    /// By a table at `path` from stem to specimen.
    pub(super) fn by_name(table: BTreeMap<String, String>, path: &Path) -> Self {
        Specimens::ByTable(table, path.to_path_buf())
    }

    /// The specimen that `image` (a path inside the data set) shows.
    ///
    /// # Errors
    /// [`DataError::Bad`] if the specimen is unknown.
    pub(super) fn of<'a>(&'a self, root: &Path, image: &'a str) -> Result<&'a str, DataError> {
        let stem = stem(image);
        match self {
            Specimens::ByPattern(pattern) => {
                let found = pattern.captures(stem).and_then(|found| found.get(1).or(found.get(0)));
                found.map(|found| found.as_str()).filter(|name| !name.is_empty()).ok_or_else(|| {
                    let problem = format!("`group` ({pattern}) finds no specimen in its name");
                    DataError::bad(&root.join(image), problem, "correct `group`, or rename the image")
                })
            }
            Specimens::ByTable(table, path) => table.get(stem).map(String::as_str).ok_or_else(|| {
                DataError::bad(path, format!("has no row for {stem}"), "download it again, or leave `group` out")
            }),
        }
    }
}

/// Refuses images of one specimen in two of train, val and test. Leaves out unlabelled images of specimens in val and test,
/// which pretraining must not use. Notes each image's specimen.
///
/// # Errors
/// [`DataError::Bad`] with the first two images of each specimen that is in two splits.
pub(super) fn keep_apart(
    root: &Path,
    specimens: Option<&Specimens>,
    images: Vec<LayoutImage>,
) -> Result<Vec<LayoutImage>, DataError> {
    let Some(specimens) = specimens else { return Ok(images) };
    let mut first: BTreeMap<String, (Split, String)> = BTreeMap::new();
    let mut errors = Vec::new();
    for image in images.iter().filter(|image| image.split != Split::Unlabeled) {
        let name = specimens.of(root, &image.image)?;
        let (split, other) = first.entry(name.to_owned()).or_insert_with(|| (image.split, image.image.clone()));
        if *split != image.split {
            let problem = format!(
                "in the split {}, shows the specimen {name}, as {other} does in the split {}",
                image.split.name(),
                split.name()
            );
            errors.push(DataError::bad(&root.join(&image.image), problem, "keep each specimen in one split"));
        }
    }
    DataError::check_all(errors)?;
    let mut remaining = Vec::with_capacity(images.len());
    for image in images {
        let specimen = specimens.of(root, &image.image)?.to_owned();
        let held_out =
            image.split == Split::Unlabeled && first.get(&specimen).is_some_and(|(split, _)| *split != Split::Train);
        if !held_out {
            remaining.push(LayoutImage { specimen: Some(specimen), ..image });
        }
    }
    Ok(remaining)
}
