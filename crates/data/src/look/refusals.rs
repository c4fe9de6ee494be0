//! Masks that are there and cannot be used: without them an experiment would learn from images only, or from masks as images.

use super::folders::{Folder, role};
use super::labels::looks_like_a_mask;
use super::layout::{Layout, counted, or_dot};
use super::listing::Listing;
use super::names::{Role, is_mask_word};
use super::pairs::looks_like_masks;
use super::pattern;
use super::sample::sample;
use crate::DataError;
use crate::stem::stem;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Refuses masks in a format that is not read.
///
/// # Errors
/// [`DataError::Bad`] for a folder of files that are named as the masks of images.
pub(super) fn refuse_unread_masks(root: &Path, listing: &Listing, folders: &[Folder]) -> Result<(), DataError> {
    let images: Vec<&Folder> =
        folders.iter().filter(|folder| !matches!(folder.role, Role::Masks | Role::PassedOver)).collect();
    for (place, names) in &listing.unread {
        let stems: Vec<&str> = names.iter().map(|name| stem(name)).collect();
        let is_of = |(pattern, count): (String, usize)| {
            let added = pattern.replace("{stem}", " ").to_ascii_lowercase();
            let is_named = added.split(|c: char| !c.is_alphanumeric()).any(is_mask_word);
            (role(place) == Role::Masks || is_named) && 2 * count >= stems.len().min(500)
        };
        if images.iter().filter_map(|folder| pattern::between(&folder.stems(), &stems)).any(is_of) {
            let extension = names[0].rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            let problem = format!(
                "{} (e.g. {}) in a format that is not read (.{extension})",
                counted(names.len(), "mask"),
                names[0]
            );
            let cure = "convert masks to png, tif or bmp, with the same names and values";
            return Err(DataError::bad(&root.join(place), problem, cure));
        }
    }
    Ok(())
}

/// Masks whose names do not tell their images are no reason to go on without masks.
///
/// # Errors
/// [`DataError::Bad`] with a name of each.
pub(super) fn refuse_masks_of_other_names(root: &Path, folders: &[Folder]) -> Result<(), DataError> {
    let used: Vec<&Folder> = folders.iter().filter(|folder| folder.role != Role::PassedOver).collect();
    let by_name = used.iter().filter(|folder| folder.role == Role::Masks).max_by_key(|folder| folder.files.len());
    let by_content = || used.iter().find(|folder| folder.role == Role::Neutral && looks_like_masks(root, folder));
    let Some(masks) = by_name.or_else(by_content) else { return Ok(()) };
    let of_images = used.iter().filter(|folder| folder.role != Role::Masks && folder.path != masks.path);
    let largest = of_images.max_by_key(|folder| (folder.split == masks.split, folder.files.len()));
    let Some(images) = largest else { return Ok(()) };
    // nnU-Net calls images as their masks, with the number of the channel behind it.
    let mask_stems = masks.stems();
    let image_stems: Vec<&str> = images.files.iter().map(|file| stem(file)).collect();
    if let Some((pattern, count)) = pattern::between(&mask_stems, &image_stems)
        && pattern != "{stem}"
        && 2 * count >= mask_stems.len().min(500)
    {
        let added = pattern.replace("{stem}", "");
        let problem = format!(
            "its masks are called {{stem}}, and their images in {} {pattern} (e.g. {} and {})",
            or_dot(&images.path),
            masks.files[0],
            images.files[0]
        );
        let cure = format!("remove `{added}` from the names of the images: image and mask then have the same name");
        return Err(DataError::bad(&root.join(&masks.path), problem, cure));
    }
    if masks.role != Role::Masks {
        return Ok(());
    }
    let problem = format!(
        "no mask in it has a name with that of an image in {} in it: masks are called, for instance, {}, images {}",
        or_dot(&images.path),
        masks.files[0],
        images.files[0]
    );
    let cure = format!("name masks after their images ({0}_mask or {0})", stem(&images.files[0]));
    Err(DataError::bad(&root.join(&masks.path), problem, cure))
}

/// Refuses two images of one stem in one folder: one is the mask of the other, or they are the same picture.
///
/// # Errors
/// [`DataError::Bad`] for the first such folder.
pub(super) fn refuse_two_files_of_one_stem(root: &Path, layout: &Layout) -> Result<(), DataError> {
    let images = layout.matched.iter().map(|(image, _)| image).chain(&layout.without_mask);
    let mut by_stem: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for image in images {
        let folder = image.rsplit_once('/').map_or("", |(folder, _)| folder);
        by_stem.entry((folder, stem(image))).or_default().insert(image);
    }
    by_stem.retain(|_, files| files.len() > 1);
    let Some(((folder, _), first)) = by_stem.first_key_value() else { return Ok(()) };
    // Extension → the files of several.
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let here: Vec<&BTreeSet<&str>> =
        by_stem.iter().filter(|((of, _), _)| of == folder).map(|(_, files)| files).collect();
    for file in here.iter().copied().flatten() {
        let extension = file.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        kinds.entry(extension).or_default().push(file);
    }
    let is_masks = |files: &[&str]| sample(files, 3).all(|file| looks_like_a_mask(&root.join(file)));
    let masks: Vec<&String> = kinds.iter().filter(|(_, files)| is_masks(files)).map(|(kind, _)| kind).collect();
    let names: Vec<&str> = first.iter().map(|file| file.rsplit('/').next().unwrap_or(file)).collect();
    let count = counted(here.len(), "image");
    let verb = if here.len() == 1 { "has" } else { "have" };
    let example = names.join(" and ");
    let path = if folder.is_empty() { root.to_path_buf() } else { root.join(folder) };
    match masks[..] {
        [mask] if kinds.len() > 1 => {
            let problem =
                format!("{count} {verb} a file of the same stem beside it, which looks like its mask ({example})");
            let cure = format!("move the masks (.{mask}) into a folder of their own (masks/)");
            Err(DataError::bad(&path, problem, cure))
        }
        _ => {
            let problem = format!("{count} {verb} a file of the same stem beside it ({example})");
            let cure = "keep one of two files that show the same; move masks into a folder of their own (masks/)";
            Err(DataError::bad(&path, problem, cure))
        }
    }
}
