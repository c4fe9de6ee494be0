//! Your own images: two folders, a mask for each image.
//!
//! * With `split`, `test_images` or `val_images`: `images/` and `masks/` in the data set's folder; the splits are drawn or
//!   named. An image without a mask counts as unlabelled, so 200 micrographs and 12 masks are fine.
//! * Otherwise: `train/images`, `train/masks`, and so `val` and `test` if there are any. In `val` and `test` every
//!   image needs its mask.
//! * `mask_pattern = "{stem}_mask"` if masks have other names than their images; both may lie in one folder.
//! * `annotations = "labels.json"` in the place of masks: shapes in one file for all images (`{split}` stands for `train`, `val`
//!   or `test`), or in one for each image (`{stem}`). See [`crate::annotations`].
//! * A mask holds label values (`values`), or the colours that `colors` names, RGB or in a palette.
//! * `group` finds the specimen in an image's name. Drawn splits then keep the images of a specimen together. Folders and lists
//!   that do not are refused. Unlabelled images of specimens in val or test are left out.
//! * `unlabeled = "more"` adds a folder of images without masks. A data set may consist of such images only.

use super::annotated::{self, Annotated};
use super::dataset::Dataset;
use super::files::{SAME_STEM, directly_in, images_in, pair};
use super::layout::{Layout, LayoutImage};
use super::params::{Classes, DatasetParams, ParamProblem};
use super::specimens::{self, Specimens};
use super::split;
use crate::{Color, DataError, IGNORE, Split};
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
        if params.mask_pattern.as_ref().is_some_and(|pattern| pattern.matches(SAME_STEM).count() != 1) {
            return Err(ParamProblem::new("mask_pattern", "needs {stem} once, e.g. \"{stem}_mask\""));
        }
        if let Some(error) = params.group.as_ref().and_then(|pattern| Regex::new(pattern).err()) {
            let message = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Err(ParamProblem::new("group", format!("not a regular expression: {message}")));
        }
        let names = match &params.classes {
            Some(Classes::Names(names)) if (2..IGNORE as usize).contains(&names.len()) => names,
            Some(Classes::Names(_)) => {
                return Err(ParamProblem::new("classes", "name at least two classes and at most 254"));
            }
            Some(Classes::Scheme(_)) => {
                return Err(ParamProblem::new("classes", "name the classes in a list: [\"matrix\", \"pores\"]"));
            }
            None if params.unlabeled.is_some() => return Ok(()),
            None => {
                return Err(ParamProblem::new(
                    "classes",
                    "name the classes in the order of their label values: [\"matrix\", …]",
                ));
            }
        };
        if let Some(twice) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
            return Err(ParamProblem::new("classes", format!("\"{}\" occurs twice", names[twice])));
        }
        annotated::check(params, names)?;
        if params.annotations.is_some() {
            return params.check_ignored(names.len());
        }
        if let Some(colors) = &params.colors {
            check_colors(params, names, colors)?;
            return params.check_ignored(names.len());
        }
        if params.ignore_color.is_some() {
            return Err(ParamProblem::new("ignore_color", "needs `colors`; for label values use `ignore_label`"));
        }
        let values = params.values.as_deref().unwrap_or_default();
        if values.len() != names.len() {
            let message = format!("{} values for {} classes: give one for each", values.len(), names.len());
            return Err(ParamProblem::new("values", message));
        }
        if let Some(twice) = (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
            return Err(ParamProblem::new("values", format!("{} occurs twice", values[twice])));
        }
        if params.ignore_label.is_some_and(|label| values.contains(&label)) {
            return Err(ParamProblem::new("ignore_label", "is also the value of a class"));
        }
        params.check_ignored(names.len())
    }

    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let mut files = Vec::new();
        for folders in folder_pairs(params) {
            let needed = match folders.split {
                None => params.classes.is_some(),
                // A data set of unlabelled images only has no train folder.
                Some(Split::Train) => params.unlabeled.is_none() || root.join("train").is_dir(),
                Some(split) => root.join(split.name()).is_dir(),
            };
            if needed {
                let images = images_in(root, &folders.images, CURE)?;
                match &folders.annotations {
                    Some(pattern) => files.extend(annotated::list(root, pattern, &images)?),
                    None => files.extend(images_in(root, &folders.masks, CURE)?),
                }
                files.extend(images);
            }
        }
        if let Some(folder) = &params.unlabeled {
            files.extend(images_in(root, folder, "correct `unlabeled` or make the folder")?);
        }
        Ok(files)
    }

    fn layout(&self, params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Layout, DataError> {
        let mut images = Vec::new();
        let pattern = params.mask_pattern.as_deref().unwrap_or(SAME_STEM);
        // `check` refused what is no regular expression.
        let specimens = params.group.as_ref().and_then(|group| Regex::new(group).ok()).map(Specimens::ByPattern);
        let of_folder = |folders: FolderPair| Some((directly_in(names, &folders.images), folders.annotations?));
        let of_folders: Vec<_> = folder_pairs(params).into_iter().filter_map(of_folder).collect();
        let annotated = Annotated::read(params, root, names, &of_folders)?;
        for folders in folder_pairs(params) {
            let pairs = match &annotated {
                Some(annotated) => {
                    let images = annotated.images_of(&directly_in(names, &folders.images));
                    let pairs = pair(root, &images, &[], SAME_STEM)?;
                    pairs.into_iter().map(|(image, _)| (image, annotated.file_of(image))).collect()
                }
                None => pair(root, &directly_in(names, &folders.images), &directly_in(names, &folders.masks), pattern)?,
            };
            let with_mask: Vec<&str> =
                pairs.iter().filter(|(_, mask)| mask.is_some()).map(|(image, _)| *image).collect();
            let mut splits = match folders.split {
                Some(split) => vec![split; with_mask.len()],
                None => split::draw(params, root, &with_mask, specimens.as_ref())?,
            }
            .into_iter();
            for (image, mask) in pairs {
                let split = match (mask, folders.split) {
                    (Some(_), _) => splits.next().unwrap_or(Split::Train),
                    (None, Some(Split::Val | Split::Test)) => {
                        let problem = match pattern {
                            _ if annotated.is_some() => "has no annotations".into(),
                            SAME_STEM => format!("has no mask of the same stem in {}", folders.masks),
                            pattern => format!("has no mask named by {pattern} in {}", folders.masks),
                        };
                        return Err(DataError::bad(
                            &root.join(image),
                            problem,
                            "add the mask, or move the image to `unlabeled`",
                        ));
                    }
                    (None, _) => Split::Unlabeled,
                };
                images.push(LayoutImage::new(image, mask, split));
            }
        }
        if let Some(folder) = &params.unlabeled {
            let listed = |image: &&str| LayoutImage::new(image, None, Split::Unlabeled);
            images.extend(directly_in(names, folder).iter().map(listed));
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
        let color = |(name, class): (&String, u8)| Some((*params.colors.as_ref()?.get(name)?, class));
        let mut label_colors: BTreeMap<Color, u8> = classes.iter().zip(0..).filter_map(color).collect();
        label_colors.extend(params.ignore_color.map(|color| (color, IGNORE)));
        Ok(Layout {
            classes,
            ignore_classes: params.ignore_classes.clone().unwrap_or_default(),
            label_values,
            label_colors,
            images: specimens::keep_apart(root, specimens.as_ref(), images)?,
        })
    }
}

/// Checks that each class has a colour, that no other name has one, and that no colour occurs twice.
fn check_colors(
    params: &DatasetParams,
    names: &[String],
    colors: &BTreeMap<String, Color>,
) -> Result<(), ParamProblem> {
    if params.values.is_some() || params.ignore_label.is_some() {
        let param = if params.values.is_some() { "values" } else { "ignore_label" };
        return Err(ParamProblem::new(param, "masks hold either label values or colours: leave out this or `colors`"));
    }
    if let Some(name) = names.iter().find(|name| !colors.contains_key(*name)) {
        return Err(ParamProblem::new("colors", format!("no colour for \"{name}\": give one for each class")));
    }
    if let Some(name) = colors.keys().find(|name| !names.contains(name)) {
        return Err(ParamProblem::new("colors", format!("\"{name}\" is not among `classes`")));
    }
    let mut seen = BTreeMap::new();
    for (name, color) in colors {
        if let Some(other) = seen.insert(color, name) {
            return Err(ParamProblem::new("colors", format!("\"{other}\" and \"{name}\" are both {color}")));
        }
    }
    match params.ignore_color.and_then(|color| seen.get(&color)) {
        Some(name) => Err(ParamProblem::new("ignore_color", format!("is also the colour of \"{name}\""))),
        None => Ok(()),
    }
}

const CURE: &str = "make train/images and train/masks (and val, test), or images and masks with `split`";

/// A folder of images and that of their masks.
struct FolderPair {
    images: String,
    masks: String,
    /// The annotation file or files in the place of masks.
    annotations: Option<String>,
    /// `None`: the splits are drawn.
    split: Option<Split>,
}

fn folder_pairs(params: &DatasetParams) -> Vec<FolderPair> {
    let images = params.images.as_deref().unwrap_or_default();
    let masks = params.masks.as_deref().unwrap_or_default();
    if params.has_drawn_splits() {
        return vec![FolderPair {
            images: images.into(),
            masks: masks.into(),
            annotations: params.annotations.clone(),
            split: None,
        }];
    }
    let pair_of = |split: Split| FolderPair {
        images: format!("{}/{images}", split.name()),
        masks: format!("{}/{masks}", split.name()),
        annotations: params.annotations.as_ref().map(|pattern| pattern.replace(annotated::SPLIT, split.name())),
        split: Some(split),
    };
    [Split::Train, Split::Val, Split::Test].map(pair_of).into()
}
