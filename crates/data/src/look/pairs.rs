//! Which folders hold the masks of which images.

use super::folders::{Folder, inside};
use super::labels;
use super::names::Role;
use super::pattern;
use super::sample::sample;
use crate::stem::stem;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A folder of images and that of their masks, which may be the same.
#[derive(Clone, Debug)]
pub(super) struct Pair<'a> {
    pub(super) images: &'a Folder,
    /// Path of the folder of masks, or of the file of annotations (with `{stem}`, if there is one for each image).
    pub(super) masks: String,
    /// The same with `{split}` in the place of a split's name.
    pub(super) masks_template: String,
    /// How masks are named after their images.
    pub(super) pattern: String,
    /// Paths of images with their masks.
    pub(super) matched: Vec<(String, String)>,
    /// Paths of images without a mask.
    pub(super) without_mask: Vec<String>,
    /// Number of masks, or of images in annotations, without an image.
    pub(super) without_image: usize,
}

/// All pairs of `folders`.
pub(super) fn pairs<'a>(root: &Path, folders: &'a [Folder]) -> Vec<Pair<'a>> {
    let used: Vec<&Folder> = folders.iter().filter(|folder| folder.role != Role::PassedOver).collect();
    let (masks, images): (Vec<&Folder>, Vec<&Folder>) = used.iter().partition(|folder| folder.role == Role::Masks);
    let mut found = between(&masks, &images);
    let taken: BTreeSet<&str> = found.iter().map(|pair| pair.images.path.as_str()).collect();
    for folder in used.iter().filter(|folder| !taken.contains(folder.path.as_str())) {
        if let Some((pattern, _)) = pattern::within(&folder.stems()) {
            found.push(pair(folder, folder, pattern));
        }
    }
    if found.is_empty() {
        // Names say nothing: a folder whose files look like masks holds them.
        let (masks, images): (Vec<&Folder>, Vec<&Folder>) =
            used.iter().partition(|folder| folder.role == Role::Neutral && looks_like_masks(root, folder));
        found = between(&masks, &images);
    }
    found
}

/// For each folder of masks the folder of images that it belongs to, if there is one.
fn between<'a>(masks: &[&'a Folder], images: &[&'a Folder]) -> Vec<Pair<'a>> {
    let mut found = Vec::new();
    for mask_folder in masks {
        let mask_stems: Vec<&str> = mask_folder.files.iter().map(|file| stem(file)).collect();
        let same_split = |folder: &&&Folder| folder.split == mask_folder.split;
        let candidates = images.iter().filter(same_split).filter_map(|folder| {
            let (pattern, count) = pattern::between(&folder.stems(), &mask_stems)?;
            Some((count, common_parts(&folder.path, &mask_folder.path), *folder, pattern))
        });
        let best = candidates.max_by_key(|(count, common, folder, _)| {
            (*count, *common, folder.role == Role::Images, std::cmp::Reverse(folder.path.as_str()))
        });
        if let Some((_, _, folder, pattern)) = best {
            found.push(pair(folder, mask_folder, pattern));
        }
    }
    // Two folders of masks for one of images: the one with more is used.
    found.sort_by_key(|pair| std::cmp::Reverse(pair.matched.len()));
    let mut seen = BTreeSet::new();
    found.retain(|pair| seen.insert(&pair.images.path));
    found
}

/// Number of parts that two paths begin with together.
fn common_parts(one: &str, other: &str) -> usize {
    one.split('/').zip(other.split('/')).take_while(|(one, other)| one == other).count()
}

fn pair<'a>(images: &'a Folder, masks: &'a Folder, pattern: String) -> Pair<'a> {
    let (before, after) = pattern.split_once("{stem}").unwrap_or_default();
    let image_stem =
        |mask: &'a str| stem(mask).strip_prefix(before)?.strip_suffix(after).filter(|stem| !stem.is_empty());
    let stems = images.stems();
    let in_one_folder = images.path == masks.path;
    let by_stem: BTreeMap<&str, &str> = masks
        .files
        .iter()
        .filter_map(|mask| Some((image_stem(mask)?, mask.as_str())))
        .filter(|(stem, _)| !in_one_folder || stems.contains(stem))
        .collect();
    let mask_names: BTreeSet<&str> = if in_one_folder { by_stem.values().copied().collect() } else { BTreeSet::new() };
    let (mut matched, mut without_mask) = (Vec::new(), Vec::new());
    for image in images.files.iter().filter(|file| !mask_names.contains(file.as_str())) {
        match by_stem.get(stem(image)) {
            Some(mask) => matched.push((inside(&images.path, image), inside(&masks.path, mask))),
            None => without_mask.push(inside(&images.path, image)),
        }
    }
    let without_image = if in_one_folder { 0 } else { masks.files.len().saturating_sub(matched.len()) };
    Pair {
        images,
        masks: masks.path.clone(),
        masks_template: masks.template.clone(),
        pattern,
        matched,
        without_mask,
        without_image,
    }
}

/// Whether some of a folder's files hold few values or colours.
pub(super) fn looks_like_masks(root: &Path, folder: &Folder) -> bool {
    let paths = folder.paths();
    let files: Vec<&String> = sample(&paths, 3).collect();
    !files.is_empty() && files.iter().all(|file| labels::looks_like_a_mask(&root.join(file)))
}
