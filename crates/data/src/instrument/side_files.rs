//! Text files that microscopes write next to an image: `image.txt` (JEOL, Hitachi), `image-tif.hdr` (TESCAN).

use super::text::decoded;
use super::{hitachi, jeol, tescan};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Extensions of side files, in lower case.
const EXTENSIONS: [&str; 2] = ["txt", "hdr"];
/// Bytes of a text file that are read to know whose it is. Hitachi and JEOL name themselves in the first lines; TESCAN's
/// `[MAIN]` with the size of a pixel is the first section.
const HEAD: u64 = 1 << 16;

/// Whether a file of a data set is a side file, by its name.
pub(crate) fn is_side_file(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    EXTENSIONS.contains(&extension.as_str())
}

/// The names that the side file of `image` can have, in lower case, the most specific first.
fn candidates(image: &str) -> Vec<String> {
    let image = image.to_lowercase();
    let file = image.rsplit('/').next().unwrap_or(&image).len();
    let folder = &image[..image.len() - file];
    let name = &image[folder.len()..];
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut names = vec![format!("{folder}{stem}-{extension}.hdr")];
    names.extend(EXTENSIONS.map(|side| format!("{folder}{name}.{side}")));
    names.extend(EXTENSIONS.map(|side| format!("{folder}{stem}.{side}")));
    names.push(format!("{folder}{stem}-1.hdr"));
    names
}

/// The side files among the files of a data set.
pub(crate) struct SideFiles<'f>(BTreeMap<String, &'f str>);

impl<'f> SideFiles<'f> {
    /// Among `names`, paths inside the data set.
    pub(crate) fn among(names: impl Iterator<Item = &'f str>) -> Self {
        SideFiles(names.filter(|name| is_side_file(name)).map(|name| (name.to_lowercase(), name)).collect())
    }

    /// The side file of `image`.
    pub(crate) fn of(&self, image: &str) -> Option<&'f str> {
        candidates(image).iter().find_map(|name| self.0.get(name).copied())
    }
}

/// The folder of a path inside a data set, with its `/`; empty for the data set's own folder.
fn folder_of(image: &str) -> &str {
    &image[..image.rfind('/').map_or(0, |at| at + 1)]
}

/// The side files of `images` that a microscope wrote: (path inside the data set, file). Folders that cannot be listed, and
/// text files of another kind, are passed over.
pub(crate) fn side_files(images: &[(String, PathBuf)]) -> Vec<(String, PathBuf)> {
    let mut listed: BTreeMap<&Path, BTreeMap<String, PathBuf>> = BTreeMap::new();
    let mut found = Vec::new();
    for (name, path) in images.iter().filter(|(name, _)| !is_side_file(name)) {
        let Some(folder) = path.parent() else { continue };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let here = listed.entry(folder).or_insert_with(|| texts_in(folder));
        if here.is_empty() {
            continue;
        }
        let inside = folder_of(name);
        for candidate in candidates(&name[inside.len()..]) {
            if let Some(side) = here.get(&candidate).filter(|side| is_of_a_microscope(side))
                && let Some(file) = side.file_name().and_then(|file| file.to_str())
            {
                found.push((format!("{inside}{file}"), side.clone()));
                break;
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The text files in a folder, by name in lower case.
fn texts_in(folder: &Path) -> BTreeMap<String, PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = files.filter_map(|file| Some((file.file_name().to_str()?.to_lowercase(), file.path())));
    named.filter(|(name, path)| !name.starts_with('.') && is_side_file(name) && path.is_file()).collect()
}

fn is_of_a_microscope(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    let text = decoded(&head);
    read.is_ok() && (jeol::is_it(&text) || hitachi::is_it(&text) || tescan::is_it(&text))
}
