//! Pairs of images and masks, by their names.

use super::files::SAME_STEM;
use crate::DataError;
use crate::stem::{composed, stem};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// An image with its mask, if it has one: paths inside the data set.
pub(super) type ImageAndMask<'a> = (&'a str, Option<&'a str>);

/// What image and mask have in common: the folder below that of all images (or masks), and the stem, both with composed
/// letters (NFC): macOS and other systems write `ö` differently.
type Key = (String, String);

/// The names of one folder, and of the folders in it.
#[derive(Clone, Copy)]
pub(super) struct Below<'n, 'a> {
    /// The folder, if files of folders in it are among the names.
    pub(super) folder: Option<&'n str>,
    /// Paths inside the data set.
    pub(super) names: &'n [&'a str],
}

impl Below<'_, '_> {
    fn key(&self, name: &str) -> Key {
        let below = match self.folder {
            None => "",
            Some(".") => name,
            Some(folder) => name.strip_prefix(folder).unwrap_or(name),
        };
        let folder = below.rsplit_once('/').map_or("", |(folder, _)| folder.trim_start_matches('/'));
        (composed(folder).into_owned(), composed(stem(name)).into_owned())
    }
}

/// The key of the image whose mask has the key `mask`, if the stem fits `pattern` (which holds one `{stem}`).
fn image_of((folder, stem): &Key, pattern: &str) -> Option<Key> {
    let pattern = composed(pattern);
    let (before, after) = pattern.split_once(SAME_STEM)?;
    let stem = stem.strip_prefix(before)?.strip_suffix(after).filter(|stem| !stem.is_empty())?;
    Some((folder.clone(), stem.to_owned()))
}

/// Images with the masks that belong to them by `pattern`, each directly in one folder. See [`pair_below`].
pub(super) fn pair<'a>(
    root: &Path,
    images: &[&'a str],
    masks: &[&'a str],
    pattern: &str,
) -> Result<Vec<ImageAndMask<'a>>, DataError> {
    pair_below(root, Below { folder: None, names: images }, Below { folder: None, names: masks }, pattern)
}

/// Images with the masks that belong to them by `pattern`, sorted by folder and stem. If both lie in one folder, a file
/// that is named as the mask of another file is no image.
///
/// # Errors
/// [`DataError::Bad`] for a mask without its image, a mask whose name does not fit `pattern`, and two files of one stem.
pub(super) fn pair_below<'a>(
    root: &Path,
    images: Below<'_, 'a>,
    masks: Below<'_, 'a>,
    pattern: &str,
) -> Result<Vec<ImageAndMask<'a>>, DataError> {
    let keyed = |of: Below<'_, 'a>| of.names.iter().map(|&name| (of.key(name), name)).collect::<Vec<_>>();
    let (mut image_keys, mut mask_keys) = (keyed(images), keyed(masks));
    if images.names == masks.names && pattern != SAME_STEM {
        let keys: BTreeSet<Key> = image_keys.iter().map(|(key, _)| key.clone()).collect();
        let is_mask = |key: &Key| image_of(key, pattern).is_some_and(|image| keys.contains(&image));
        image_keys.retain(|(key, _)| !is_mask(key));
        mask_keys.retain(|(key, _)| is_mask(key));
    }
    let mut by_key: BTreeMap<Key, &str> = BTreeMap::new();
    let mut unfit = Vec::new();
    for (key, name) in &mask_keys {
        match image_of(key, pattern) {
            Some(image) => {
                if let Some(other) = by_key.insert(image, name) {
                    return Err(twice(root, name, other, "keep one of the two, or rename one"));
                }
            }
            None => unfit.push((key, *name)),
        }
    }
    if !unfit.is_empty() {
        let keys: BTreeSet<&Key> = image_keys.iter().map(|(key, _)| key).collect();
        let cure = match guess_pattern(mask_keys.iter().map(|(key, _)| key), &keys) {
            Some(pattern) => format!("set `mask_pattern = \"{pattern}\"`"),
            None => "correct `mask_pattern`, or rename the mask".into(),
        };
        let problem = format!("a mask whose name does not fit `mask_pattern` ({pattern})");
        let error = |(_, name): &(&Key, &str)| DataError::bad(&root.join(name), problem.as_str(), cure.as_str());
        DataError::check_all(unfit.iter().map(error).collect())?;
    }
    let mut pairs: BTreeMap<Key, ImageAndMask> = BTreeMap::new();
    for (key, name) in image_keys {
        let mask = by_key.remove(&key);
        if let Some((other, _)) = pairs.insert(key, (name, mask)) {
            let cure = match stem(name) == stem(other) {
                true => "keep one of the two, or rename one; if one is a mask, move it to a folder of masks",
                false => "keep one of the two, or rename one",
            };
            return Err(twice(root, name, other, cure));
        }
    }
    without_image(root, &pairs, &by_key, &mask_keys)?;
    Ok(pairs.into_values().collect())
}

fn twice(root: &Path, name: &str, other: &str, cure: &str) -> DataError {
    let problem = if stem(name) == stem(other) {
        format!("has the same stem as {other}")
    } else {
        format!("has the same name as {other}, with other bytes for the same letters (NFC and NFD)")
    };
    DataError::bad(&root.join(name), problem, cure)
}

/// Refuses masks that no image belongs to; `masks` has them by the key of the image.
fn without_image(
    root: &Path,
    pairs: &BTreeMap<Key, ImageAndMask>,
    masks: &BTreeMap<Key, &str>,
    mask_keys: &[(Key, &str)],
) -> Result<(), DataError> {
    if masks.is_empty() {
        return Ok(());
    }
    let lacking: BTreeSet<&Key> = pairs.iter().filter(|(_, (_, mask))| mask.is_none()).map(|(key, _)| key).collect();
    let names: BTreeSet<&str> = masks.values().copied().collect();
    let lost = mask_keys.iter().filter(|(_, name)| names.contains(name));
    let pattern = guess_pattern(lost.map(|(key, _)| key), &lacking);
    let small = |(folder, stem): &Key| (folder.to_lowercase(), stem.to_lowercase());
    let by_small: BTreeMap<Key, &str> =
        lacking.iter().filter_map(|key| Some((small(key), pairs.get(*key)?.0))).collect();
    let error = |(key, mask): (&Key, &&str)| {
        let path = root.join(mask);
        if let Some(pattern) = &pattern {
            let problem = format!("a mask whose name is {pattern}, not that of its image");
            return DataError::bad(&path, problem, format!("add `mask_pattern = \"{pattern}\"`"));
        }
        if let Some(image) = by_small.get(&small(key)) {
            let problem = format!("a mask without an image: {image} differs in upper and lower case");
            let fault = "a mask whose image differs in upper and lower case";
            return DataError::bad(&path, problem, "give image and mask the same name").shared(fault, "", "");
        }
        let stem = &key.1;
        let problem = format!("a mask without an image (no {stem}.png, .tif, .jpg or .bmp among the images)");
        DataError::bad(&path, problem, "give image and mask the same name").shared("a mask without an image", "", "")
    };
    DataError::check_all(masks.iter().map(error).collect())
}

/// The pattern by which all of `masks` would belong to one of `images`, if there is one.
fn guess_pattern<'k>(masks: impl Iterator<Item = &'k Key> + Clone, images: &BTreeSet<&Key>) -> Option<String> {
    let (folder, first) = masks.clone().next()?;
    let in_name = |(of, stem): &&&Key| of == folder && stem != first && first.contains(stem.as_str());
    let mut stems: Vec<&str> = images.iter().filter(in_name).map(|(_, stem)| stem.as_str()).collect();
    stems.sort_by_key(|stem| std::cmp::Reverse(stem.len()));
    let patterns = stems.into_iter().map(|stem| first.replacen(stem, SAME_STEM, 1));
    let fits = |pattern: &String| {
        masks.clone().all(|mask| image_of(mask, pattern).is_some_and(|image| images.contains(&image)))
    };
    patterns.take(20).find(fits)
}

/// Images without a readable mask that have one in another format: `others` are the files of the folder of masks that are
/// no image files.
///
/// # Errors
/// [`DataError::Bad`] for each such image.
pub(super) fn refuse_unread_masks(
    root: &Path,
    images: Below,
    masks: Below,
    others: Below,
    pattern: &str,
) -> Result<(), DataError> {
    let read: BTreeSet<Key> = masks.names.iter().filter_map(|name| image_of(&masks.key(name), pattern)).collect();
    let lacking: BTreeMap<Key, &str> =
        images.names.iter().map(|&name| (images.key(name), name)).filter(|(key, _)| !read.contains(key)).collect();
    let error = |name: &&str| {
        let image = lacking.get(&image_of(&others.key(name), pattern)?)?;
        let extension = super::files::extension(name);
        let cure = match &*extension {
            "json" | "geojson" | "xml" => {
                "masks are png, tif or bmp: draw it as one, or see `annotations` for polygons"
            }
            _ => "masks are read from png, tif and bmp: convert it",
        };
        let problem = format!("its mask {name} cannot be read");
        Some(DataError::bad(&root.join(image), problem, cure).shared(
            format!("the mask is a file .{extension}, which cannot be read"),
            "",
            format!(": {name}"),
        ))
    };
    DataError::check_all(others.names.iter().filter_map(error).collect())
}
