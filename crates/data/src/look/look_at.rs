//! The look at a folder, from its listing to what was found.

use super::annotation_files;
use super::class_choice;
use super::depth;
use super::folders::{Folder, folders};
use super::found::{Bar, Found, FoundMasks};
use super::image_headers;
use super::labels;
use super::layout::{Layout, counted, image_files, layout, or_dot};
use super::listing::{Listing, list};
use super::names::Role;
use super::pairs;
use super::refusals;
use super::sample::sample;
use crate::DataError;
use crate::format::EXTENSIONS;
use crate::stem::stem;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most masks that are decoded.
const MASKS: usize = 50;
/// Most pairs whose sizes are compared.
const PAIRS: usize = 500;
/// Most images whose kind of pixels is looked up.
const STORED: usize = 200;
/// The largest part of an image that an info bar takes.
const LARGEST_BAR: f64 = 0.35;

/// Looks at the folder `root`.
///
/// # Errors
/// [`DataError::NotThere`] if there is no such folder, [`DataError::Bad`] if it holds no images, or if its masks cannot be
/// used, with the reason.
pub fn look(root: &Path) -> Result<Found, DataError> {
    let listing = list(root)?;
    let folders = folders(&listing);
    let has_images = |folder: &Folder| !matches!(folder.role, Role::Masks | Role::PassedOver);
    if !folders.iter().any(has_images) {
        return Err(nothing(root, &listing, &folders));
    }
    let pairs = pairs::pairs(root, &folders);
    let mut annotations = None;
    let mut layout = if pairs.is_empty() {
        match annotation_files::pairs(root, &listing.annotations, &folders) {
            Some((pairs, found)) => {
                annotations = Some(found);
                layout(root, &folders, &pairs)
            }
            None => {
                refusals::refuse_unread_masks(root, &listing, &folders)?;
                refusals::refuse_masks_of_other_names(root, &folders)?;
                layout(root, &folders, &[])
            }
        }
    } else {
        layout(root, &folders, &pairs)
    };
    if layout.images.is_none() && layout.unlabeled.is_none() {
        return Err(nothing(root, &listing, &folders));
    }
    refusals::refuse_two_files_of_one_stem(root, &layout)?;
    let masks = match (&layout.masks, &mut annotations) {
        (Some(masks), Some(annotations)) => {
            annotations.pattern.clone_from(masks);
            None
        }
        (Some(folder), None) => {
            let masks = masks(root, folder, &layout)?;
            layout.warnings.extend(class_choice::doubt(&masks.labels));
            Some(masks)
        }
        (None, _) => None,
    };
    Ok(found(root, &listing, layout, masks, annotations))
}

fn found(
    root: &Path,
    listing: &Listing,
    mut layout: Layout,
    masks: Option<FoundMasks>,
    annotations: Option<super::found::FoundAnnotations>,
) -> Found {
    let bar = if masks.is_some() { bar(root, &mut layout) } else { Bar::None };
    let images: Vec<String> =
        layout.matched.iter().map(|(image, _)| image).chain(&layout.without_mask).cloned().collect();
    let rows = if let Bar::Rows(rows) = bar { rows } else { 0 };
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let sizes = image_headers::sizes(root, &images);
    for (width, height) in sizes {
        *counts.entry((width, height.saturating_sub(rows))).or_default() += 1;
    }
    let mut sizes: Vec<((usize, usize), usize)> = counts.into_iter().collect();
    sizes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let paths: Vec<PathBuf> = sample(&images, STORED).map(|image| root.join(image)).collect();
    let mut passed_over = layout.passed_over;
    let read = annotations.as_ref().map(|annotations| extension(&annotations.pattern));
    passed_over.extend(others(listing, read.as_deref()));
    let group = group(&layout.matched);
    Found {
        base: layout.base,
        images: layout.images,
        masks,
        annotations,
        splits: layout.splits,
        unlabeled: layout.unlabeled,
        labelled: layout.matched.len(),
        unlabelled: layout.without_mask.len(),
        sizes,
        stored: image_headers::stored(&paths),
        bits: depth::bits(&paths),
        bar,
        warnings: layout.warnings,
        passed_over,
        group,
    }
}

/// What a sample of the masks holds.
fn masks(root: &Path, folder: &str, layout: &Layout) -> Result<FoundMasks, DataError> {
    let paths: Vec<PathBuf> = sample(&layout.matched, MASKS).map(|(_, mask)| root.join(mask)).collect();
    let contents = labels::contents(&paths);
    let read = contents.read;
    let shown = root.join(folder.trim_start_matches("./"));
    let labels = class_choice::classes(&shown, contents)?;
    Ok(FoundMasks { folder: folder.to_owned(), pattern: layout.pattern.clone(), labels, read })
}

/// Compares the sizes of images and masks.
fn bar(root: &Path, layout: &mut Layout) -> Bar {
    let pairs: Vec<&(String, String)> = sample(&layout.matched, PAIRS).collect();
    let size = |name: &str| image_headers::size(&root.join(name));
    let both: Vec<_> = pairs.into_par_iter().filter_map(|(image, mask)| Some((size(image)?, size(mask)?))).collect();
    let (mut rows, mut other): (BTreeMap<usize, usize>, usize) = (BTreeMap::new(), 0);
    for (image, mask) in both {
        let missing = image.1.checked_sub(mask.1).filter(|&rows| rows as f64 <= LARGEST_BAR * image.1 as f64);
        match missing.filter(|_| image.0 == mask.0) {
            Some(missing) => *rows.entry(missing).or_default() += 1,
            None => other += 1,
        }
    }
    if other > 0 {
        layout.warnings.push(format!(
            "{} of another size than {}: export masks at the size of their images",
            counted(other, "mask"),
            if other == 1 { "its image" } else { "their images" }
        ));
    }
    let mut rows: Vec<(usize, usize)> = rows.into_iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    match rows[..] {
        [] | [(0, _)] => Bar::None,
        [(rows, _)] => Bar::Rows(rows),
        _ => Bar::Different(rows),
    }
}

/// What was looked for, and what is there.
fn nothing(root: &Path, listing: &Listing, folders: &[Folder]) -> DataError {
    let mut there = others(listing, None);
    there.extend(
        folders.iter().map(|folder| format!("{} in {}", image_files(folder.files.len()), or_dot(&folder.path))),
    );
    let there = if there.is_empty() { "it is empty".into() } else { format!("there are: {}", there.join("; ")) };
    let problem = format!(
        "no images found in it or below ({}; folders of masks, predictions and thumbnails do not count); {there}",
        EXTENSIONS.join(", ")
    );
    DataError::bad(root, problem, "name the folder that holds your micrographs, or export them as png or tif")
}

fn extension(path: &str) -> String {
    path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// Files that are no images; those with the extension `read` hold the annotations.
fn others(listing: &Listing, read: Option<&str>) -> Vec<String> {
    let files = |count: usize, what: &str| format!("{count} {what} file{}", if count == 1 { "" } else { "s" });
    let mut others = listing.others.clone();
    for extension in listing.annotations.iter().map(|file| extension(file)).filter(|found| Some(&**found) != read) {
        *others.entry(extension).or_default() += 1;
    }
    let mut lines: Vec<String> = others
        .iter()
        .map(|(extension, &count)| match extension.as_str() {
            "" => format!("{} without an extension", files(count, "other")),
            extension => files(count, &format!(".{extension}")),
        })
        .collect();
    if listing.hidden > 0 {
        lines.push(files(listing.hidden, "hidden"));
    }
    lines.extend(listing.unreadable.iter().take(5).map(|path| format!("{}: cannot be read", path.display())));
    if listing.is_partial {
        lines.push("more: the folder is large, and only a part of it was looked at".into());
    }
    lines
}

/// An expression for what comes before the first `_`, `-` or space of the names, if that makes at least two groups, one of
/// them of several images.
fn group(matched: &[(String, String)]) -> Option<String> {
    ['_', '-', ' '].into_iter().find_map(|separator| {
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for (image, _) in matched {
            *groups.entry(stem(image).split_once(separator)?.0).or_default() += 1;
        }
        let is_one =
            groups.len() >= 2 && groups.len() * 2 <= matched.len() && groups.keys().all(|name| !name.is_empty());
        is_one.then(|| format!("^[^{}]+", if separator == '-' { "\\-".into() } else { separator.to_string() }))
    })
}

impl Found {
    /// The path of the data set's folder.
    pub fn path(&self, root: &Path) -> PathBuf {
        if self.base.is_empty() { root.to_path_buf() } else { root.join(&self.base) }
    }
}
