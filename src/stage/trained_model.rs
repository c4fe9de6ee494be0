//! A trained model with what its experiment knows of it: what its folder says.

mod classes;
mod evaluated;
mod known_reference;
mod margins;
mod pixels;

pub(crate) use evaluated::Evaluated;
pub(crate) use margins::Cropped;

use super::StageError;
use super::errors::weights_error;
use super::evaluate::default_overlap;
use crate::data::{Manifest, ReadAs, Split};
use crate::nn::weights;
use crate::predict::model::{FORMAT_VERSION, ModelDescription, ModelFiles, Normalisation, Provenance, SplitScores};
use crate::train::inference::ModelConfig;
use anyhow::Context as _;
use known_reference::KnownReference;
use std::collections::BTreeMap;
use std::path::Path;

/// A trained model with what its experiment knows of it.
pub(crate) struct TrainedModel<'a> {
    /// Its stage, with its seed.
    pub(crate) name: String,
    /// The file of its weights.
    pub(crate) weights: &'a Path,
    /// What its training images look like; `None` if its training is of an older program.
    pub(crate) reference: Option<&'a Path>,
    /// Name of the data set that it was trained on.
    pub(crate) dataset: &'a str,
    /// That data set: its images for training, validation and test.
    pub(crate) manifest: &'a Manifest,
    /// How the images of that data set are cropped.
    pub(crate) cropped: Cropped,
    /// Content hash of the manifest of each split.
    pub(crate) contents: &'a BTreeMap<Split, String>,
    /// Its evaluations.
    pub(crate) evaluated: Vec<Evaluated>,
    /// Where it comes from.
    pub(crate) provenance: Provenance,
}

/// What a model folder is made of, and what its user should know.
pub(crate) struct Folder<'a> {
    /// The files.
    pub(crate) files: ModelFiles<'a>,
    /// Sentences.
    pub(crate) notes: Vec<String>,
}

impl<'a> TrainedModel<'a> {
    /// What its folder is made of.
    ///
    /// # Errors
    /// A damaged file of weights or reference; a data set of other classes.
    pub(crate) fn folder(self) -> Result<Folder<'a>, StageError> {
        let config = self.config()?;
        let manifest = self.manifest;
        if config.class_names != manifest.classes {
            return Err(StageError::BadData(format!(
                "{} was trained on the classes {}, but data set {} has {}",
                self.name,
                config.class_names.join(", "),
                self.dataset,
                manifest.classes.join(", ")
            )));
        }
        let reference = self.reference.map(KnownReference::read).transpose()?.unwrap_or_default();
        let training = manifest.entries(Split::Train);
        let (pixel_size_nm, pixel_sizes_nm) = pixels::sizes(&training);
        let mut notes = Vec::new();
        if self.reference.is_none() {
            notes.push(
                "its training is of an older program: there is no calibration, no correction of fractions, and no check for \
                 unusual images; `--force` trains it again"
                    .to_owned(),
            );
        }
        notes.extend(pixels::resized(&training));
        let scores = reference.scores(&manifest.ignore_classes).map(|(images, miou, iou, confusion)| SplitScores {
            split: Split::Val.name().to_owned(),
            dataset: self.dataset.to_owned(),
            content: self.content_of_validation(),
            images,
            miou,
            iou,
            confusion: Some(confusion),
        });
        let scores = scores.into_iter().chain(self.evaluated.into_iter().map(SplitScores::from)).collect();
        let description = ModelDescription {
            format_version: FORMAT_VERSION,
            name: self.name,
            normalisation: Normalisation::of(config.network.encoder.in_channels()),
            network: config.network,
            classes: classes::of(manifest),
            read_as: ReadAs { options: manifest.options.clone(), crop: self.cropped.rule(manifest), pixel_size: None },
            tile: config.crop_size,
            overlap: default_overlap(),
            pixel_size_nm,
            pixel_sizes_nm,
            calibration: reference.calibration,
            validation: reference.validation,
            scores,
            provenance: self.provenance,
            files: BTreeMap::new(),
        };
        Ok(Folder { files: ModelFiles { description, weights: self.weights, reference: self.reference }, notes })
    }

    fn config(&self) -> Result<ModelConfig, StageError> {
        let config = weights::read_config(self.weights).map_err(weights_error)?;
        let config = config.with_context(|| format!("the weights of {} do not describe their network", self.name))?;
        Ok(serde_json::from_str(&config).with_context(|| format!("the network of {}", self.name))?)
    }

    /// Validation images are those of `val` or, with `val_fraction`, some of `train`.
    fn content_of_validation(&self) -> String {
        let split = if self.manifest.entries(Split::Val).is_empty() { Split::Train } else { Split::Val };
        self.contents.get(&split).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
