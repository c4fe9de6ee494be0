//! What lies in a data set's folder and is not read.

use super::files::{extension, is_hidden, is_image_name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest number of files and folders that are looked at: a data set's folder may hold anything.
const LOOKED_AT: usize = 200_000;
/// Largest number of folders that are named.
const NAMED: usize = 3;

/// Files and folders of a data set's folder that are not read, and images of which a part is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Files beside those that are read, by extension (`".gif"`, `""` without one), with their number.
    pub formats: BTreeMap<String, usize>,
    /// Number of hidden files, and of files of operating systems, beside those that are read.
    pub hidden: usize,
    /// Images in the folders that are read, but not used.
    pub images: usize,
    /// Folders with images that are not read (path inside the data set), with the number of images.
    pub folders: Vec<(String, usize)>,
    /// Images that are read and are animated: their first picture is used.
    pub animated: Vec<String>,
}

impl PassedOver {
    /// Looks at everything in `root` other than `read` (path inside the data set, file).
    pub fn of(root: &Path, read: &[(String, PathBuf)]) -> PassedOver {
        let files: BTreeSet<&Path> = read.iter().map(|(_, path)| path.as_path()).collect();
        let mut passed = PassedOver {
            animated: read.iter().filter(|(_, path)| is_animated(path)).map(|(name, _)| name.clone()).collect(),
            ..PassedOver::default()
        };
        // Beside what is read: in the same folder, or in one around it. Without files, in the root and its folders.
        let mut beside: BTreeSet<PathBuf> = BTreeSet::from([root.to_path_buf()]);
        let mut of_files: BTreeSet<PathBuf> = BTreeSet::new();
        for path in &files {
            of_files.extend(path.parent().map(Path::to_path_buf));
            let around = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
            beside.extend(around.map(Path::to_path_buf));
        }
        let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
        let mut waiting = vec![root.to_path_buf()];
        let mut left = LOOKED_AT;
        while let Some(folder) = waiting.pop() {
            if !folder.canonicalize().is_ok_and(|path| seen.insert(path)) {
                continue;
            }
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            let counts = beside.contains(&folder) || files.is_empty();
            let mut images = 0;
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                if left == 0 {
                    break;
                }
                left -= 1;
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if is_hidden(&name) {
                    passed.hidden += usize::from(counts && !path.is_dir());
                } else if path.is_dir() {
                    waiting.push(path);
                } else if files.contains(path.as_path()) {
                } else if is_image_name(&name) {
                    images += 1;
                } else if counts {
                    let extension = extension(&name);
                    let extension = if extension.is_empty() { extension } else { format!(".{extension}") };
                    *passed.formats.entry(extension).or_default() += 1;
                }
            }
            if of_files.contains(&folder) {
                passed.images += images;
            } else if images > 0 {
                let name = folder.strip_prefix(root).unwrap_or(&folder).to_string_lossy().into_owned();
                passed.folders.push((if name.is_empty() { ".".into() } else { name }, images));
            }
        }
        passed.folders.sort();
        passed
    }

    /// `3 .gif, 2 hidden files, 1 folder (train/images/old, 12 images)`; `None` if everything is read.
    pub fn in_words(&self) -> Option<String> {
        let mut words = Vec::new();
        let mut formats: Vec<(&String, &usize)> = self.formats.iter().collect();
        formats.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        words.extend(formats.iter().map(|(extension, count)| match extension.as_str() {
            "" => counted(**count, "file without an extension", "files without an extension"),
            extension => format!("{count} {extension}"),
        }));
        if self.hidden > 0 {
            words.push(counted(self.hidden, "hidden file", "hidden files"));
        }
        if self.images > 0 {
            words.push(counted(self.images, "image beside those that are used", "images beside those that are used"));
        }
        if !self.folders.is_empty() {
            let mut named: Vec<String> = self
                .folders
                .iter()
                .take(NAMED)
                .map(|(name, images)| format!("{name}, {}", counted(*images, "image", "images")))
                .collect();
            if self.folders.len() > NAMED {
                named.push("…".into());
            }
            words.push(format!("{} ({})", counted(self.folders.len(), "folder", "folders"), named.join("; ")));
        }
        if let Some(first) = self.animated.first() {
            let count = counted(self.animated.len(), "animated image", "animated images");
            words.push(format!(
                "all but the first picture of {count} ({first}{})",
                if self.animated.len() > 1 { ", …" } else { "" }
            ));
        }
        (!words.is_empty()).then(|| words.join(", "))
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Whether a file is an animated png: a chunk `acTL` comes before the pixels.
/// Source: <https://www.w3.org/TR/png-3/#acTL-chunk>.
fn is_animated(path: &Path) -> bool {
    if extension(&path.to_string_lossy()) != "png" {
        return false;
    }
    // The chunks before the pixels mostly fit into the first of these sizes, and with a colour profile into the second.
    for size in [512, 64 << 10] {
        let mut head = Vec::new();
        let Ok(file) = std::fs::File::open(path) else { return false };
        if file.take(size).read_to_end(&mut head).is_err() || !head.starts_with(b"\x89PNG\r\n\x1a\n") {
            return false;
        }
        let mut rest = &head[8..];
        while let [a, b, c, d, kind @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            match kind.get(..4) {
                Some(b"acTL") => return true,
                Some(b"IDAT") => return false,
                Some(_) => rest = kind.get(length.saturating_add(8)..).unwrap_or_default(),
                None => break,
            }
        }
    }
    false
}
