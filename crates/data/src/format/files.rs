//! Folders of image files, and pairs of images and masks.

use crate::DataError;
use crate::stem::stem;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(crate) const EXTENSIONS: [&str; 6] = ["png", "tif", "tiff", "jpg", "jpeg", "bmp"];

/// The image files (png, tif, jpg, bmp) directly in `root/folder`, as (path inside the data set, file), sorted.
/// Hidden files and other files are skipped. `"."` is the root itself.
///
/// # Errors
/// [`DataError`] with `cure` if there is no such folder.
pub(super) fn images_in(root: &Path, folder: &str, cure: &str) -> Result<Vec<(String, PathBuf)>, DataError> {
    let path = if folder == "." { root.to_path_buf() } else { root.join(folder) };
    let entries = std::fs::read_dir(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => DataError::not_there(&path, cure),
        std::io::ErrorKind::NotADirectory => DataError::bad(&path, "not a folder", cure),
        _ => DataError::bad(&path, format!("cannot be listed ({error})"), "check its permissions and its disk"),
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(DataError::reading(&path))?.path();
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        if !EXTENSIONS.contains(&extension.as_str()) {
            continue;
        }
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
            return Err(DataError::bad(&file, "its name is not UTF-8", "rename it"));
        };
        if !name.starts_with('.') && file.is_file() {
            let name = if folder == "." { name.to_owned() } else { format!("{folder}/{name}") };
            files.push((name, file));
        }
    }
    files.sort();
    Ok(files)
}

/// Those of `names` that lie directly in `folder`, in order.
pub(super) fn directly_in<'a>(names: &[&'a str], folder: &str) -> Vec<&'a str> {
    let is_inside = |name: &str| match name.rsplit_once('/') {
        Some((parent, _)) => parent == folder,
        None => folder == ".",
    };
    names.iter().copied().filter(|name| is_inside(name)).collect()
}

/// The default pattern for the stem of a mask: that of its image.
pub(super) const SAME_STEM: &str = "{stem}";

/// The stem of the image whose mask has the stem `mask`, if `mask` fits `pattern` (which holds one `{stem}`).
fn image_stem<'a>(mask: &'a str, pattern: &str) -> Option<&'a str> {
    let (before, after) = pattern.split_once(SAME_STEM)?;
    mask.strip_prefix(before)?.strip_suffix(after).filter(|stem| !stem.is_empty())
}

/// Images with the masks that belong to them by `pattern`. If both lie in one folder, a file that is named as the mask of
/// another file is no image.
///
/// # Errors
/// [`DataError::Bad`] for a mask without its image, a mask whose name does not fit `pattern`, and two files of one stem.
pub(super) fn pair<'a>(
    root: &Path,
    images: &[&'a str],
    masks: &[&'a str],
    pattern: &str,
) -> Result<Vec<(&'a str, Option<&'a str>)>, DataError> {
    let twice = |name: &str, other: &str| {
        let problem = format!("has the same stem as {other}");
        DataError::bad(&root.join(name), problem, "keep one of the two, or rename one")
    };
    let (mut images, mut masks) = (images.to_vec(), masks.to_vec());
    if images == masks && pattern != SAME_STEM {
        let stems: BTreeSet<&str> = images.iter().map(|name| stem(name)).collect();
        let is_mask = |name: &str| image_stem(stem(name), pattern).is_some_and(|image| stems.contains(image));
        images.retain(|name| !is_mask(name));
        masks.retain(|name| is_mask(name));
    }
    let mut by_stem = BTreeMap::new();
    let mut errors = Vec::new();
    for name in masks {
        match image_stem(stem(name), pattern) {
            Some(image) => {
                if let Some(other) = by_stem.insert(image, name) {
                    return Err(twice(name, other));
                }
            }
            None => {
                let problem = format!("a mask whose name does not fit `mask_pattern` ({pattern})");
                errors.push(DataError::bad(&root.join(name), problem, "correct `mask_pattern`, or rename the mask"));
            }
        }
    }
    DataError::check_all(errors)?;
    let mut pairs = BTreeMap::new();
    for name in images {
        if let Some((other, _)) = pairs.insert(stem(name), (name, by_stem.remove(stem(name)))) {
            return Err(twice(name, other));
        }
    }
    let without_image = |(stem, mask): (&str, &str)| {
        let problem = format!("a mask without an image (no {stem}.png, .tif, .jpg or .bmp among the images)");
        DataError::bad(&root.join(mask), problem, "give image and mask the same name")
    };
    DataError::check_all(by_stem.into_iter().map(without_image).collect())?;
    Ok(pairs.into_values().collect())
}
