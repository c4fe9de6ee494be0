//! Folders of image files.

use super::DataError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const EXTENSIONS: [&str; 6] = ["png", "tif", "tiff", "jpg", "jpeg", "bmp"];

/// The file name of a path inside a data set, without its extension.
pub fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// The image files (png, tif, jpg, bmp) directly in `root/folder`, as (path inside the data set, file), sorted.
/// Hidden files and everything else are passed over. `"."` is the root itself.
pub(super) fn images_in(root: &Path, folder: &str, cure: &str) -> Result<Vec<(String, PathBuf)>, DataError> {
    let path = if folder == "." { root.to_path_buf() } else { root.join(folder) };
    let entries = std::fs::read_dir(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => DataError::not_there(&path, cure),
        std::io::ErrorKind::NotADirectory => DataError::bad(&path, "not a folder", cure),
        _ => DataError::bad(&path, format!("cannot be listed ({error})"), "look at its permissions and its disk"),
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(DataError::reading(&path))?.path();
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
            return Err(DataError::bad(&file, "its name is not UTF-8", "rename it"));
        };
        let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        if !name.starts_with('.') && EXTENSIONS.contains(&extension.as_str()) && file.is_file() {
            let name = if folder == "." { name.to_owned() } else { format!("{folder}/{name}") };
            files.push((name, file));
        }
    }
    files.sort();
    Ok(files)
}

/// The names below `folder/`, in order.
pub(super) fn below<'a>(names: &[&'a str], folder: &str) -> Vec<&'a str> {
    let inside = |name: &str| match name.rsplit_once('/') {
        Some((parent, _)) => parent == folder,
        None => folder == ".",
    };
    names.iter().copied().filter(|name| inside(name)).collect()
}

/// Images with the masks of the same stem. A mask without its image, and two files of one stem, are errors.
pub(super) fn pair<'a>(
    root: &Path,
    images: &[&'a str],
    masks: &[&'a str],
) -> Result<Vec<(&'a str, Option<&'a str>)>, DataError> {
    let by_stem = |names: &[&'a str]| -> Result<BTreeMap<&'a str, &'a str>, DataError> {
        let mut map = BTreeMap::new();
        for name in names {
            if let Some(other) = map.insert(stem(name), *name) {
                let problem = format!("has the same stem as {other}");
                return Err(DataError::bad(&root.join(name), problem, "keep one of the two, or rename one"));
            }
        }
        Ok(map)
    };
    let images = by_stem(images)?;
    let mut masks = by_stem(masks)?;
    let pairs = images.into_iter().map(|(stem, image)| (image, masks.remove(stem))).collect();
    let lonely = |(stem, mask): (&str, &str)| {
        let problem = format!("a mask without an image (no {stem}.png, .tif, .jpg or .bmp among the images)");
        DataError::bad(&root.join(mask), problem, "give image and mask the same name")
    };
    DataError::check_all(masks.into_iter().map(lonely).collect())?;
    Ok(pairs)
}
