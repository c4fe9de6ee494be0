//! Folders of image files.

use super::links::broken_link;
use crate::DataError;
use std::path::{Path, PathBuf};

pub(crate) const EXTENSIONS: [&str; 6] = ["png", "tif", "tiff", "jpg", "jpeg", "bmp"];

/// The files of a folder.
#[derive(Debug, Default)]
pub(super) struct FilesOfFolder {
    /// The image files (png, tif, jpg, bmp), as (path inside the data set, file), sorted.
    pub(super) images: Vec<(String, PathBuf)>,
    /// Files in other formats, neither hidden nor of the operating system, likewise.
    pub(super) others: Vec<(String, PathBuf)>,
    /// The folders in it that are not hidden, likewise.
    pub(super) folders: Vec<(String, PathBuf)>,
}

/// Whether files of this name are read as images.
pub fn is_image_name(name: &str) -> bool {
    EXTENSIONS.contains(&&*extension(name))
}

/// The extension in lower case, without the dot; empty without one.
pub(super) fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// Whether a file of this name is hidden or belongs to an operating system.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
        || ["thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin"].contains(&&*name.to_lowercase())
}

/// The image files directly in `root/folder`, as (path inside the data set, file), sorted. Hidden files and other files
/// are skipped. `"."` is the root itself.
///
/// # Errors
/// [`DataError`] with `cure` if there is no such folder; links to files that are not there.
pub(super) fn images_in(root: &Path, folder: &str, cure: &str) -> Result<Vec<(String, PathBuf)>, DataError> {
    Ok(files_in(root, folder, || cure.to_owned())?.images)
}

/// What lies directly in `root/folder`.
///
/// # Errors
/// [`DataError`] with `cure` if there is no such folder.
pub(super) fn files_in(root: &Path, folder: &str, cure: impl FnOnce() -> String) -> Result<FilesOfFolder, DataError> {
    let path = if folder == "." { root.to_path_buf() } else { root.join(folder) };
    let entries = std::fs::read_dir(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => DataError::not_there(&path, cure()),
        std::io::ErrorKind::NotADirectory => DataError::bad(&path, "not a folder", cure()),
        _ => DataError::bad(&path, format!("cannot be listed ({error})"), "check its permissions and its disk"),
    })?;
    let (mut files, mut broken) = (FilesOfFolder::default(), Vec::new());
    for entry in entries {
        let file = entry.map_err(DataError::reading(&path))?.path();
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let is_image = EXTENSIONS.contains(&extension.as_str());
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
            if is_image {
                return Err(DataError::bad(&file, "its name is not UTF-8", "rename it"));
            }
            continue;
        };
        if is_hidden(name) {
            continue;
        }
        if is_image && let Some(error) = broken_link(&file) {
            broken.push(error);
            continue;
        }
        let name = if folder == "." { name.to_owned() } else { format!("{folder}/{name}") };
        // In a folder that may be listed but not entered, a file cannot even be asked what it is.
        if is_image
            && let Err(error) = std::fs::metadata(&file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(DataError::reading(&file)(error));
        }
        if file.is_file() {
            if is_image { &mut files.images } else { &mut files.others }.push((name, file));
        } else if file.is_dir() {
            files.folders.push((name, file));
        }
    }
    broken.sort_by_cached_key(DataError::to_string);
    DataError::check_all(broken)?;
    files.images.sort();
    files.others.sort();
    files.folders.sort();
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
