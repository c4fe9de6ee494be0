//! Your own images: two folders, a mask for each image.
//!
//! * With `split`, `test_images` or `val_images`: `images/` and `masks/` in the data set's folder; the splits are drawn or
//!   named. An image without a mask counts as unlabelled, so 200 micrographs and 12 masks are fine.
//! * Otherwise: `train/images`, `train/masks`, and so `val` and `test` if there are any. In `val` and `test` every
//!   image needs its mask. `splits` gives the folders of splits other names, and `{split}` in `images` and `masks` another
//!   place: `"{split}"` and `"{split}_annot"`, `"images/{split}"` and `"masks/{split}"`.
//! * `recursive = true` reads the folders inside those of images and masks, too.
//! * `mask_pattern = "{stem}_mask"` if masks have other names than their images; both may lie in one folder.
//! * `annotations = "labels.json"` in the place of masks: shapes in one file for all images (`{split}` stands for `train`, `val`
//!   or `test`), or in one for each image (`{stem}`). See [`crate::annotations`].
//! * A mask holds label values (`values`), or the colours that `colors` names, RGB or in a palette.
//! * `group` finds the specimen in an image's name. Drawn splits then keep the images of a specimen together. Folders and lists
//!   that do not are refused. Unlabelled images of specimens in val or test are left out.
//! * `unlabeled = "more"` adds a folder of images without masks. A data set may consist of such images only.

use super::annotated::{self, Annotated};
use super::class_names::{check_colors, check_values, classes_of_colors, names as class_names};
use super::dataset::Dataset;
use super::files::SAME_STEM;
use super::folder_pairs::{self, folder_pairs};
use super::folders::Folders;
use super::layout::{Layout, LayoutImage};
use super::neighbours;
use super::pairing::{Below, pair_below, refuse_unread_masks};
use super::params::{Classes, DatasetParams, ParamProblem};
use super::specimens::{self, Specimens};
use super::split;
use crate::{DataError, IGNORE, Split};
use regex::Regex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) struct Folder;

impl Dataset for Folder {
    fn takes(&self) -> &'static [&'static str] {
        &[
            "images",
            "masks",
            "mask_pattern",
            "annotations",
            "background",
            "names",
            "overlap",
            "without_shapes",
            "attribute",
            "unlabeled",
            "classes",
            "values",
            "colors",
            "ignore_label",
            "ignore_color",
            "ignore_classes",
            "split",
            "test_images",
            "val_images",
            "group",
            "splits",
            "recursive",
        ]
    }

    fn fill(&self, params: &mut DatasetParams) {
        params.images.get_or_insert_with(|| "images".into());
        if params.annotations.is_some() {
            params.overlap.get_or_insert_default();
            return;
        }
        params.masks.get_or_insert_with(|| "masks".into());
        if let (Some(Classes::Names(names)), None) = (&params.classes, &params.colors) {
            params.values.get_or_insert_with(|| (0..=u8::MAX).take(names.len()).collect());
        }
    }

    fn check(&self, params: &DatasetParams) -> Result<(), ParamProblem> {
        if let Some(error) = params.group.as_ref().and_then(|pattern| Regex::new(pattern).err()) {
            let message = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Err(ParamProblem::new("group", format!("not a regular expression: {message}")));
        }
        folder_pairs::check(params)?;
        if params.mask_pattern.as_ref().is_some_and(|pattern| pattern.matches(SAME_STEM).count() != 1) {
            return Err(ParamProblem::new("mask_pattern", "needs {stem} once, e.g. \"{stem}_mask\""));
        }
        let Some(names) = class_names(params)? else {
            let message = "name the classes in the order of their label values: [\"matrix\", …]";
            return if params.unlabeled.is_some() { Ok(()) } else { Err(ParamProblem::new("classes", message)) };
        };
        annotated::check(params, names)?;
        if params.annotations.is_some() {
            return params.check_ignored(names.len());
        }
        match &params.colors {
            Some(colors) => check_colors(params, names, colors)?,
            None => check_values(params, names)?,
        }
        params.check_ignored(names.len())
    }

    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let mut files = Vec::new();
        let pairs = pairs_with_classes(params);
        let folders = folders(params, root, &pairs);
        let pattern = params.mask_pattern.as_deref().unwrap_or(SAME_STEM);
        for pair in &pairs {
            let needed = match &pair.split {
                None => params.classes.is_some(),
                // A data set of unlabelled images only has no train folder.
                Some(split) => {
                    let is_required = split.is_given || (split.split == Split::Train && params.unlabeled.is_none());
                    is_required || pair.is_there(root)
                }
            };
            if needed {
                let cure = || neighbours::cure(params, root, pair).unwrap_or(CURE.into());
                let images = folders.images(&pair.images, cure)?;
                if let Some(annotations) = &pair.annotations {
                    files.extend(annotated::list(root, annotations, &images.images)?);
                    files.extend(images.images);
                    continue;
                }
                let masks = folders.files(&pair.masks, cure)?;
                let (image_names, mask_names) = (names_of(&images.images), names_of(&masks.images));
                let other_names = names_of(&masks.others);
                let recursive = params.recursive == Some(true);
                let below = |folder, names| Below { folder: recursive.then_some(folder), names };
                refuse_unread_masks(
                    root,
                    below(&*pair.images, &*image_names),
                    below(&*pair.masks, &*mask_names),
                    below(&*pair.masks, &*other_names),
                    pattern,
                )?;
                files.extend(images.images);
                files.extend(masks.images);
            }
        }
        if let Some(folder) = &params.unlabeled {
            let cure = || neighbours::composed_otherwise(root, folder);
            let cure = || cure().unwrap_or("correct `unlabeled` or make the folder".into());
            files.extend(folders.images(folder, cure)?.images);
        }
        neighbours::refuse_ignored_splits(params, root)?;
        Ok(files)
    }

    fn layout(&self, params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Layout, DataError> {
        let mut images = Vec::new();
        let pattern = params.mask_pattern.as_deref().unwrap_or(SAME_STEM);
        // `check` refused what is no regular expression.
        let specimens = params.group.as_ref().and_then(|group| Regex::new(group).ok()).map(Specimens::ByPattern);
        let all = pairs_with_classes(params);
        let places = folders(params, root, &all);
        let annotations = all.iter().filter_map(|pair| {
            let images = places.among(names, &pair.images);
            Some((images, pair.annotations.clone()?))
        });
        let annotated = Annotated::read(params, root, names, &annotations.collect::<Vec<_>>())?;
        let recursive = params.recursive == Some(true);
        for folders in &all {
            let of_images = places.among(names, &folders.images);
            let below = |folder, names| Below { folder: recursive.then_some(folder), names };
            let pairs = match &annotated {
                Some(annotated) => {
                    let images = annotated.images_of(&of_images);
                    let pairs = pair_below(root, below(&*folders.images, &*images), below(".", &[]), SAME_STEM)?;
                    pairs.into_iter().map(|(image, _)| (image, annotated.file_of(image))).collect()
                }
                None => {
                    let of_masks = places.among(names, &folders.masks);
                    let masks = below(&*folders.masks, &*of_masks);
                    pair_below(root, below(&*folders.images, &*of_images), masks, pattern)?
                }
            };
            let with_mask: Vec<&str> =
                pairs.iter().filter(|(_, mask)| mask.is_some()).map(|(image, _)| *image).collect();
            let of_folder = folders.split.as_ref().map(|split| split.split);
            let mut splits = match of_folder {
                Some(split) => vec![split; with_mask.len()],
                None => split::draw(params, root, &with_mask, specimens.as_ref())?,
            }
            .into_iter();
            let mut lacking = Vec::new();
            for (image, mask) in pairs {
                let split = match (mask, of_folder) {
                    (Some(_), _) => splits.next().unwrap_or(Split::Train),
                    (None, Some(Split::Val | Split::Test)) => {
                        let problem = match pattern {
                            _ if annotated.is_some() => "has no annotations".into(),
                            SAME_STEM => format!("has no mask of the same stem in {}", folders.masks),
                            pattern => format!("has no mask named by {pattern} in {}", folders.masks),
                        };
                        let cure = "add the mask, or move the image to `unlabeled`";
                        lacking.push(DataError::bad(&root.join(image), problem, cure));
                        continue;
                    }
                    (None, _) => Split::Unlabeled,
                };
                images.push(LayoutImage::new(image, mask, split));
            }
            DataError::check_all(lacking)?;
        }
        if let Some(folder) = &params.unlabeled {
            let listed = places.among(names, folder);
            let below = |names| Below { folder: recursive.then_some(&**folder), names };
            for (image, _) in pair_below(root, below(&*listed), below(&[]), SAME_STEM)? {
                images.push(LayoutImage::new(image, None, Split::Unlabeled));
            }
        }
        let classes = match &params.classes {
            Some(Classes::Names(names)) => names.clone(),
            _ => Vec::new(),
        };
        let mut label_values: BTreeMap<u8, u8> = params.values.iter().flatten().copied().zip(0..).collect();
        if annotated.is_some() {
            label_values = (0..).take(classes.len()).map(|class| (class, class)).collect();
        }
        label_values.extend(params.ignore_label.map(|label| (label, IGNORE)));
        let (mut label_colors, other_color) = classes_of_colors(params, &classes);
        label_colors.extend(params.ignore_color.map(|color| (color, IGNORE)));
        Ok(Layout {
            classes,
            ignore_classes: params.ignore_classes.clone().unwrap_or_default(),
            label_values,
            label_colors,
            other_color,
            images: specimens::keep_apart(root, specimens.as_ref(), images)?,
        })
    }
}

const CURE: &str = "make train/images and train/masks (and val, test), or images and masks with `split`";

/// The pairs of folders that are read: without classes no mask can be, and a folder `train` may be that of `unlabeled`.
fn pairs_with_classes(params: &DatasetParams) -> Vec<folder_pairs::FolderPair> {
    let is_given = |pair: &folder_pairs::FolderPair| pair.split.as_ref().is_some_and(|split| split.is_given);
    folder_pairs(params).into_iter().filter(|pair| params.classes.is_some() || is_given(pair)).collect()
}

/// All folders of the data set.
fn folders<'a>(params: &'a DatasetParams, root: &'a Path, pairs: &[folder_pairs::FolderPair]) -> Folders<'a> {
    let named = pairs.iter().flat_map(|pair| [pair.images.as_str(), pair.masks.as_str()]);
    Folders::new(root, named.chain(params.unlabeled.as_deref()), params.recursive == Some(true))
}

fn names_of(files: &[(String, PathBuf)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}
