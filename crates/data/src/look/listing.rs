//! The files below a folder, by what they are.

use crate::DataError;
use crate::format::EXTENSIONS;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folders below each other that are looked into.
const DEPTH: usize = 8;
/// Files that are looked at; a folder with more is looked at in part.
const FILES: usize = 200_000;
/// Extensions of files that may hold annotations.
const ANNOTATIONS: [&str; 4] = ["json", "geojson", "xml", "csv"];
/// Extensions of files that hold pictures and are not read.
const UNREAD: [&str; 15] =
    ["gif", "webp", "npy", "npz", "mat", "jp2", "pgm", "ppm", "pbm", "tga", "nii", "h5", "mha", "nrrd", "svg"];

/// What lies below a folder. Paths are inside it, with `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Folder (`""` is the folder itself) → names of its image files, sorted.
    pub(super) images: BTreeMap<String, Vec<String>>,
    /// Files that may hold annotations, sorted.
    pub(super) annotations: Vec<String>,
    /// Folder → names of files that hold pictures and are not read. They are among the others, too.
    pub(super) unread: BTreeMap<String, Vec<String>>,
    /// Number of other files, by extension.
    pub(super) others: BTreeMap<String, usize>,
    /// Number of hidden files and folders.
    pub(super) hidden: usize,
    /// Folders and files that cannot be read or whose names are not UTF-8.
    pub(super) unreadable: Vec<PathBuf>,
    /// Whether there is more than was looked at.
    pub(super) is_partial: bool,
}

/// Lists `root`. Links to folders are followed; none is listed twice.
///
/// # Errors
/// [`DataError`] if `root` is no folder or cannot be listed.
pub(super) fn list(root: &Path) -> Result<Listing, DataError> {
    if root.exists() && !root.is_dir() {
        return Err(DataError::bad(root, "not a folder", "name the folder that holds your micrographs"));
    }
    std::fs::read_dir(root).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => DataError::not_there(root, "name the folder that holds your micrographs"),
        _ => DataError::bad(root, format!("cannot be listed ({error})"), "check its permissions and its disk"),
    })?;
    let mut listing = Listing::default();
    let (mut seen, mut files) = (BTreeSet::new(), 0);
    let mut waiting = vec![(String::new(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        let path = if folder.is_empty() { root.to_path_buf() } else { root.join(&folder) };
        let is_new = std::fs::canonicalize(&path).is_ok_and(|real| seen.insert(real));
        if !is_new {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&path) else {
            listing.unreadable.push(path);
            continue;
        };
        for entry in entries {
            let Ok(entry) = entry else {
                listing.unreadable.push(path.clone());
                break;
            };
            files += 1;
            if files > FILES {
                listing.is_partial = true;
                break;
            }
            let file = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                listing.unreadable.push(file);
                continue;
            };
            let inside = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if name.starts_with('.') || name == "__MACOSX" {
                listing.hidden += 1;
            } else if file.is_dir() {
                if depth < DEPTH {
                    waiting.push((inside, depth + 1));
                } else {
                    listing.is_partial = true;
                }
            } else if !file.is_file() {
                listing.unreadable.push(file);
            } else {
                listing.add(&folder, name, inside);
            }
        }
    }
    listing.images.values_mut().for_each(|names| names.sort());
    listing.unread.values_mut().for_each(|names| names.sort());
    listing.annotations.sort();
    listing.unreadable.sort();
    Ok(listing)
}

impl Listing {
    fn add(&mut self, folder: &str, name: String, inside: String) {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
        if EXTENSIONS.contains(&extension.as_str()) {
            self.images.entry(folder.to_owned()).or_default().push(name);
        } else if ANNOTATIONS.contains(&extension.as_str()) {
            self.annotations.push(inside);
        } else {
            if UNREAD.contains(&extension.as_str()) {
                self.unread.entry(folder.to_owned()).or_default().push(name);
            }
            *self.others.entry(extension).or_default() += 1;
        }
    }
}
