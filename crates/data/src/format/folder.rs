//! Your own images: two folders, a mask for each image.
//!
//! * With `split`, `test_images` or `val_images`: `images/` and `masks/` below the data set's folder; the splits are
//!   drawn or named. An image without a mask counts as unlabelled, so 200 micrographs and 12 masks are fine.
//! * Otherwise: `train/images`, `train/masks`, and so `val` and `test` if there are any. In `val` and `test` every
//!   image needs its mask.
//! * `mask_pattern = "{stem}_mask"` if masks are named otherwise than their images; both may lie in one folder.
//! * A mask holds label values (`values`), or the colours that `colors` names, RGB or in a palette.
//! * `group` finds the specimen in an image's name. Drawn splits then take whole specimens; splits by folders and lists
//!   are held to it; and unlabelled images of specimens in val or test are left out.
//! * `unlabeled = "more"` adds a folder of images without masks; a data set may hold nothing else.

use super::files::{SAME_STEM, below, images_in, pair};
use super::specimens::{self, Specimens};
use super::{Classes, Dataset, DatasetParams, Layout, ParamProblem, Placed, split};
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
            return Err(ParamProblem::new("group", format!("no regular expression: {message}")));
        }
        let names = match &params.classes {
            Some(Classes::Names(names)) if (2..IGNORE as usize).contains(&names.len()) => names,
            Some(Classes::Names(_)) => return Err(ParamProblem::new("classes", "name at least two and at most 254")),
            Some(Classes::Scheme(_)) => {
                return Err(ParamProblem::new("classes", "name them in a list: [\"matrix\", \"pores\"]"));
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
            return Err(ParamProblem::new("classes", format!("\"{}\" is there twice", names[twice])));
        }
        if let Some(colors) = &params.colors {
            check_colors(params, names, colors)?;
            return params.check_ignored(names.len());
        }
        if params.ignore_color.is_some() {
            return Err(ParamProblem::new("ignore_color", "goes with `colors`; for label values it is `ignore_label`"));
        }
        let values = params.values.as_deref().unwrap_or_default();
        if values.len() != names.len() {
            let message = format!("{} values for {} classes: give one for each", values.len(), names.len());
            return Err(ParamProblem::new("values", message));
        }
        if let Some(twice) = (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
            return Err(ParamProblem::new("values", format!("{} is there twice", values[twice])));
        }
        if params.ignore_label.is_some_and(|label| values.contains(&label)) {
            return Err(ParamProblem::new("ignore_label", "is also the value of a class"));
        }
        params.check_ignored(names.len())
    }

    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let mut files = Vec::new();
        for place in places(params) {
            let needed = match place.split {
                None => params.classes.is_some(),
                // A data set of nothing but unlabelled images has no train folder.
                Some(Split::Train) => params.unlabeled.is_none() || root.join("train").is_dir(),
                Some(split) => root.join(split.name()).is_dir(),
            };
            if needed {
                files.extend(images_in(root, &place.images, CURE)?);
                files.extend(images_in(root, &place.masks, CURE)?);
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
        // An expression that is none was refused by `check`.
        let specimens = params.group.as_ref().and_then(|group| Regex::new(group).ok()).map(Specimens::ByPattern);
        for place in places(params) {
            let pairs = pair(root, &below(names, &place.images), &below(names, &place.masks), pattern)?;
            let with_mask: Vec<&str> =
                pairs.iter().filter(|(_, mask)| mask.is_some()).map(|(image, _)| *image).collect();
            let mut splits = match place.split {
                Some(split) => vec![split; with_mask.len()],
                None => split::draw(params, root, &with_mask, specimens.as_ref())?,
            }
            .into_iter();
            for (image, mask) in pairs {
                let split = match (mask, place.split) {
                    (Some(_), _) => splits.next().unwrap_or(Split::Train),
                    (None, Some(Split::Val | Split::Test)) => {
                        let problem = match pattern {
                            SAME_STEM => format!("has no mask of the same stem in {}", place.masks),
                            pattern => format!("has no mask named by {pattern} in {}", place.masks),
                        };
                        return Err(DataError::bad(
                            &root.join(image),
                            problem,
                            "add the mask, or move the image to `unlabeled`",
                        ));
                    }
                    (None, _) => Split::Unlabeled,
                };
                images.push(Placed::new(image, mask, split));
            }
        }
        if let Some(folder) = &params.unlabeled {
            let placed = |image: &&str| Placed::new(image, None, Split::Unlabeled);
            images.extend(below(names, folder).iter().map(placed));
        }
        let classes = match &params.classes {
            Some(Classes::Names(names)) => names.clone(),
            _ => Vec::new(),
        };
        let mut label_values: BTreeMap<u8, u8> = params.values.iter().flatten().copied().zip(0..).collect();
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

/// Whether there is a colour for each class and no other, and no colour twice.
fn check_colors(
    params: &DatasetParams,
    names: &[String],
    colors: &BTreeMap<String, Color>,
) -> Result<(), ParamProblem> {
    if params.values.is_some() || params.ignore_label.is_some() {
        let param = if params.values.is_some() { "values" } else { "ignore_label" };
        return Err(ParamProblem::new(param, "masks hold label values or colours: leave this or `colors` out"));
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

/// A pair of folders.
struct Place {
    images: String,
    masks: String,
    /// `None`: the splits are drawn.
    split: Option<Split>,
}

fn places(params: &DatasetParams) -> Vec<Place> {
    let images = params.images.as_deref().unwrap_or_default();
    let masks = params.masks.as_deref().unwrap_or_default();
    if params.split.is_some() || params.test_images.is_some() || params.val_images.is_some() {
        return vec![Place { images: images.into(), masks: masks.into(), split: None }];
    }
    let place = |split: Split| Place {
        images: format!("{}/{images}", split.name()),
        masks: format!("{}/{masks}", split.name()),
        split: Some(split),
    };
    [Split::Train, Split::Val, Split::Test].map(place).into()
}
