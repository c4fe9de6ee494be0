//! Which images show the same specimen: those must never lie on both sides of a split.

use super::{Placed, files::stem};
use crate::{DataError, Split};
use regex::Regex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Knows the specimen of an image.
#[derive(Debug)]
pub(super) enum Specimens {
    /// What an expression finds in the image's stem: its first group, or all that it matches.
    ByPattern(Regex),
    /// By the image's stem, from a table (for messages).
    ByTable(BTreeMap<String, String>, PathBuf),
}

impl Specimens {
    /// From a table at `path`: stem → specimen.
    pub(super) fn by_name(table: BTreeMap<String, String>, path: &Path) -> Self {
        Specimens::ByTable(table, path.to_path_buf())
    }

    /// The specimen that `image` (a path inside the data set) shows.
    ///
    /// # Errors
    /// [`DataError::Bad`] if that cannot be said.
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
                DataError::bad(path, format!("does not know {stem}"), "download it again, or leave `group` out")
            }),
        }
    }
}

/// Refuses images of one specimen in two of train, val and test, and leaves out unlabelled images of specimens in val
/// and test: pretraining must not see them. Writes each image's specimen down.
///
/// # Errors
/// [`DataError::Bad`] with the first two images of each specimen that is on both sides.
pub(super) fn keep_apart(
    root: &Path,
    specimens: Option<&Specimens>,
    images: Vec<Placed>,
) -> Result<Vec<Placed>, DataError> {
    let Some(specimens) = specimens else { return Ok(images) };
    let mut first: BTreeMap<String, (Split, String)> = BTreeMap::new();
    let mut errors = Vec::new();
    for placed in images.iter().filter(|placed| placed.split != Split::Unlabeled) {
        let name = specimens.of(root, &placed.image)?;
        let (split, other) = first.entry(name.to_owned()).or_insert_with(|| (placed.split, placed.image.clone()));
        if *split != placed.split {
            let problem = format!(
                "in the split {}, shows the specimen {name} as does {other} in the split {}",
                placed.split.name(),
                split.name()
            );
            errors.push(DataError::bad(&root.join(&placed.image), problem, "keep each specimen in one split"));
        }
    }
    DataError::check_all(errors)?;
    let mut kept = Vec::with_capacity(images.len());
    for placed in images {
        let specimen = specimens.of(root, &placed.image)?.to_owned();
        let held_out =
            placed.split == Split::Unlabeled && first.get(&specimen).is_some_and(|(split, _)| *split != Split::Train);
        if !held_out {
            kept.push(Placed { specimen: Some(specimen), ..placed });
        }
    }
    Ok(kept)
}
