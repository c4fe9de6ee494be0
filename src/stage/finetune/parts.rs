//! The images that a training learns from, and those that validate it, chosen from the manifest alone.

use super::{Finetune, folds, val_fraction};
use crate::data::{Entry, Manifest, Split};
use crate::metrics::SelectedOn;
use crate::stage::Known;
use crate::stage::counts::cure;
use crate::stage::outlook::Outlook;
use crate::stage::segmentation::check_batches;
use std::sync::Arc;

/// The images of a training.
pub(super) struct Parts<'m> {
    pub(super) train: Vec<&'m Entry>,
    /// Images of val_miou and iou_CLASS; may be empty.
    pub(super) validation: Vec<&'m Entry>,
}

impl Finetune {
    /// The images of the training with `seed`, from the data set `name`.
    ///
    /// # Errors
    /// Why the training cannot be done with this data set, and the cure.
    pub(super) fn parts<'m>(&self, manifest: &'m Manifest, name: &str, seed: u64) -> Result<Parts<'m>, String> {
        let labelled = |split| -> Vec<&Entry> {
            manifest.entries(split).into_iter().filter(|entry| entry.mask.is_some()).collect()
        };
        self.check_weighted_classes(manifest, name)?;
        let mut train = labelled(Split::Train);
        if train.is_empty() {
            return Err(format!(
                "data set {name} has no training images with masks; check its `split`, `test_images` and `val_images`"
            ));
        }
        let mut taken = None;
        if let Some(fraction) = self.val_fraction {
            if !manifest.entries(Split::Val).is_empty() {
                return Err(format!("data set {name} already has validation images: remove `val_fraction`"));
            }
            let specimens: Vec<_> = train.iter().map(|entry| entry.specimen.as_deref()).collect();
            let chosen = val_fraction::choose(fraction, &specimens)?;
            let (validation, rest) =
                train.into_iter().enumerate().partition::<Vec<_>, _>(|(index, _)| chosen.contains(index));
            let entries = |numbered: Vec<(usize, &'m Entry)>| numbered.into_iter().map(|(_, entry)| entry).collect();
            train = entries(rest);
            taken = Some(entries(validation));
        }
        if let Some(fold) = self.fold() {
            if !manifest.entries(Split::Val).is_empty() {
                return Err(format!(
                    "data set {name} has validation images of its own, and `folds` take theirs from the training images: remove \
                     `folds` here, or the validation images from the table of {name} (`val_images`, `split.val`, `val`)"
                ));
            }
            let (own, others) = folds::split(train, fold, name)?;
            (train, taken) = (others, Some(own));
        }
        self.keep_fraction(&mut train, seed)?;
        let split = self.validation_split();
        let validation = taken.unwrap_or_else(|| labelled(split));
        if validation.is_empty() && self.select_on != SelectedOn::Last {
            let (word, other) = match self.select_on {
                SelectedOn::Test => ("test", "\"val\""),
                _ => ("validation", "\"test\" (as the authors did)"),
            };
            let fraction = match self.select_on {
                SelectedOn::Val => "set `val_fraction = 0.2` here, ",
                _ => "",
            };
            return Err(format!(
                "`select_on = \"{}\"` needs {word} images, but data set {name} has none: {}, {fraction}or set \
                 `select_on = \"last\"` or {other}",
                split.name(),
                cure(manifest, name, split),
            ));
        }
        check_batches(self.crops_in_epoch(train.len()), self.training.batch_size.get(), self.crop_size.get())?;
        Ok(Parts { train, validation })
    }

    /// What is wrong with validation images that are taken from the training images, if the training that this one starts from, or
    /// one that that one started from, has learnt from some.
    pub(super) fn seen_before(&self, known: &Known<'_>, manifest: &Arc<Manifest>, parts: &Parts<'_>) -> Option<String> {
        let cure = match (self.fold(), self.val_fraction) {
            (Some(fold), _) => format!("start from the model of the same fold (`fold = {}`)", fold.index),
            (None, Some(fraction)) => format!("train both with `val_fraction = {fraction}`, or start"),
            (None, None) => return None,
        };
        let (start, image) = known.inputs.iter().find_map(|input| match Outlook::of(input) {
            Some(Outlook::Training { seen, .. }) => {
                Some((input, seen.iter().find_map(|seen| seen.first_in(manifest, &parts.validation))?))
            }
            _ => None,
        })?;
        let (role, label) = (start.role, start.label);
        Some(format!(
            "`{role}`: {label} was trained on {image}, which validates this training, and its scores would be too good: {cure} or \
             from a model of other images"
        ))
    }

    /// What is suspicious about these images of the data set `name`.
    pub(super) fn warnings(&self, parts: &Parts<'_>, manifest: &Manifest, name: &str) -> Vec<String> {
        let (mut warnings, train) = (Vec::new(), &parts.train);
        let has = |images: &[&Entry], class: usize| {
            images.iter().any(|entry| entry.class_pixels.get(class).is_none_or(|&pixels| pixels > 0))
        };
        let counts = |class: &usize| !manifest.ignore_classes.iter().any(|&ignored| usize::from(ignored) == *class);
        let classes = || (0..manifest.classes.len()).filter(counts);
        let named = |classes: Vec<usize>| -> Vec<&str> {
            classes.into_iter().map(|class| manifest.classes[class].as_str()).collect()
        };
        let absent = named(classes().filter(|&class| !has(train, class)).collect());
        if !absent.is_empty() {
            let (noun, them) = if absent.len() == 1 { ("class", "it") } else { ("classes", "them") };
            warnings.push(format!(
                "no training image of data set {name} has the {noun} {}: the model cannot learn {them}, but mIoU counts \
                 {them}; train on images with {them}, or put {them} into `ignore_classes`",
                absent.join(", ")
            ));
        }
        let validation = &parts.validation;
        let unseen = named(classes().filter(|&class| has(train, class) && !has(validation, class)).collect());
        if self.select_on != SelectedOn::Last && !validation.is_empty() && !unseen.is_empty() {
            let (noun, them) = if unseen.len() == 1 { ("class", "it") } else { ("classes", "them") };
            let images = if self.select_on == SelectedOn::Test { "test" } else { "validation" };
            warnings.push(format!(
                "no {images} image of data set {name} has the {noun} {}: the epoch is chosen without {them}; move an image with \
                 {them} there, or choose another `seed` of the `split`",
                unseen.join(", ")
            ));
        }
        let size = self.crop_size.get();
        let small: Vec<_> = train.iter().filter(|entry| entry.width.min(entry.height) < size).collect();
        if let Some(least) = small.iter().min_by_key(|entry| entry.width.min(entry.height)) {
            warnings.push(format!(
                "{} of {} training images of data set {name} are smaller than a crop of {size} pixels (the smallest is \
                 {}×{}) and are mirrored at their edges; a smaller `crop_size` avoids that",
                small.len(),
                train.len(),
                least.width,
                least.height
            ));
        }
        warnings
    }
}
