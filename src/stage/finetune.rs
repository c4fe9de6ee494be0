//! `finetune`: a segmentation model from an encoder and images with masks.

mod aside;
mod fewer;

use super::artifacts::{EncoderFile, HistoryFile, ModelFile, Selection};
use super::encoder::{EncoderSpec, fingerprint};
use super::errors::data_error;
use super::memory::admit;
use super::segmentation::{Loss, Segmentation, Validation};
use super::training::{has, train};
use super::training_parameters::{TrainingDefaults, TrainingParameters};
use super::{Context, DATASET, DataUse, Places, StageError, StageKind, Uses, open_dataset};
use crate::data::augment::FinetuneAugment;
use crate::data::{Mask, Micrograph, OpenDataset, Split};
use crate::experiment::{self, Input, MaybeInput, ParamError, ReferenceSpec, SpannedTable};
use crate::metrics::SelectedOn;
use crate::nn::{Architecture, Parameters, SegmentationConfig, SegmentationNetwork};
use crate::random::Stream;
use crate::ssl::ENCODER;
use crate::train::inference::ModelConfig;
use crate::train::memory::Needs;
use crate::train::{OptimizerSpec, Training};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

/// Leaves `model.safetensors` (segmentation_models_pytorch's names) of the epoch that `select_on` chooses,
/// `history.csv` (epoch, step, train_loss, learning_rate, gradient_norm, val_loss, val_miou, iou_CLASS; empty where an epoch
/// was not validated) and `selection.json`, which says on which images val_miou and iou_CLASS were taken and how the epoch was
/// chosen.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Finetune {
    /// Images and masks.
    dataset: Input,
    /// A pretraining, or an encoder in place.
    encoder: MaybeInput<EncoderSpec>,
    /// `"unet++"` (the paper's) or `"unet"`.
    #[serde(default)]
    architecture: Architecture,
    /// Channels of the decoder, deepest first: 256, 128, 64, 32, 16 in segmentation_models_pytorch and the paper.
    #[serde(default = "default_decoder")]
    decoder_channels: [NonZeroUsize; 5],
    /// Dice in the paper.
    #[serde(default)]
    loss: Loss,
    #[serde(flatten)]
    training: TrainingParameters<Finetune>,
    /// Side of the crops and of validation's tiles in pixels, a multiple of 32 up to 4096: 256 in the paper.
    #[serde(default = "default_crop_size")]
    crop_size: NonZeroUsize,
    /// Random crops of each image in an epoch.
    #[serde(default = "one")]
    crops_per_image: NonZeroUsize,
    /// How crops are changed at random.
    #[serde(default)]
    augment: FinetuneAugment,
    /// Whose mIoU chooses the epoch that is kept.
    #[serde(default)]
    select_on: SelectedOn,
    /// Part of the training images that is set aside to validate on, for a data set without validation images; the same
    /// images for every seed and every encoder, and whole specimens where its `group` tells them apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    val_fraction: Option<f64>,
    /// Part of the training images that is trained on, what is set aside already taken off; drawn from the experiment's
    /// seed, a smaller part being within a larger one, the same for every encoder.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    train_fraction: f64,
    /// Ends the training after so many epochs without a better one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patience: Option<NonZeroU64>,
    /// Validates and leaves a moving average of the weights, which keeps this part of itself at each step, e.g. 0.999.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ema: Option<f64>,
    /// Batches whose gradients are averaged for one step of the optimiser; each has batch statistics and a loss of its own.
    #[serde(default = "single", skip_serializing_if = "is_single")]
    accumulate: NonZeroU64,
    /// Epochs between validations; the last epoch has one always.
    #[serde(default = "every_epoch")]
    validate_every: NonZeroU64,
    /// Part of its side by which a tile overlaps the next in validation, from 0 to below 1.
    #[serde(default = "default_overlap")]
    validation_overlap: f64,
}

fn whole() -> f64 {
    1.0
}

fn is_whole(fraction: &f64) -> bool {
    *fraction == whole()
}

fn single() -> NonZeroU64 {
    NonZeroU64::MIN
}

fn is_single(batches: &NonZeroU64) -> bool {
    *batches == single()
}

fn default_decoder() -> [NonZeroUsize; 5] {
    [256, 128, 64, 32, 16].map(|channels| NonZeroUsize::new(channels).unwrap_or(NonZeroUsize::MIN))
}

fn default_crop_size() -> NonZeroUsize {
    const { NonZeroUsize::new(256).unwrap() }
}

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn every_epoch() -> NonZeroU64 {
    NonZeroU64::MIN
}

fn default_overlap() -> f64 {
    0.25
}

impl TrainingDefaults for Finetune {
    fn batch_size() -> NonZeroUsize {
        const { NonZeroUsize::new(8).unwrap() }
    }

    fn optimizer() -> OptimizerSpec {
        OptimizerSpec::adam(1e-4, 1e-5)
    }
}

impl StageKind for Finetune {
    const KIND: &'static str = "finetune";
    const CODE_VERSION: u32 = 5;
    const TRAINS: bool = true;
    // The weights themselves are in the key, by content; random ones leave no file there.
    const UNKEYED: &'static [&'static str] = &["encoder.weights", "recompute"];
    const LEAVES: &'static [&'static str] = &[ModelFile::FILE, HistoryFile::FILE, Selection::FILE];
    const REFERENCES: &'static [ReferenceSpec] = &[DATASET, ReferenceSpec::one("encoder", &["pretrain"]).or_value()];

    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        if has(&table, "augment", "crop_size") {
            let message = "the size of a crop is the stage's own `crop_size`".into();
            errors.push(ParamError::Check { param: "augment.crop_size", message });
        }
        let stage = experiment::deserialize::<Self>(table).map_err(|more| errors.extend(more)).ok();
        stage.filter(|_| errors.is_empty()).ok_or(errors)
    }

    fn check(&self) -> Result<(), ParamError> {
        let error = |param, message| Err(ParamError::Check { param, message });
        if let MaybeInput::Value(encoder) = &self.encoder
            && let Err(message) = encoder.check()
        {
            return error("encoder", message);
        }
        if !self.crop_size.get().is_multiple_of(32) {
            return error("crop_size", format!("{} is no multiple of 32, which the network needs", self.crop_size));
        }
        if self.crop_size.get() > 4096 {
            return error("crop_size", format!("{} is more than 4096 pixels", self.crop_size));
        }
        if let Err((name, message)) = self.augment.check() {
            return error("augment", format!("{name}: {message}"));
        }
        self.training.check()?;
        if let Some(fraction) = self.val_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            return error(
                "val_fraction",
                format!("{fraction} is no part of the images: above 0 and below 1, e.g. 0.2"),
            );
        }
        if self.val_fraction.is_some() && self.select_on == SelectedOn::Test {
            return error("val_fraction", "nothing is validated on it with `select_on = \"test\"`".into());
        }
        if !(self.train_fraction > 0.0 && self.train_fraction <= 1.0) {
            let message = format!("{} is no part of the images: above 0, up to 1, e.g. 0.25", self.train_fraction);
            return error("train_fraction", message);
        }
        if let Some(keep) = self.ema.filter(|keep| !(0.0..1.0).contains(keep)) {
            return error("ema", format!("{keep} is out of range: 0 to below 1, e.g. 0.999"));
        }
        if self.patience.is_some() && self.select_on == SelectedOn::Last {
            let message = "nothing says which epoch is better with `select_on = \"last\"`".into();
            return error("patience", message);
        }
        if let Some(patience) = self.patience.filter(|patience| *patience < self.validate_every) {
            let message =
                format!("{patience} epochs pass before the next is validated: give {} or more", self.validate_every);
            return error("patience", message);
        }
        if !(0.0..1.0).contains(&self.validation_overlap) {
            let message = format!("an overlap of {}; expected 0 to below 1, e.g. 0.25", self.validation_overlap);
            return error("validation_overlap", message);
        }
        Ok(())
    }

    fn needs_gpu(&self) -> Option<String> {
        self.training.needs_gpu()
    }

    fn ready(&self, places: &Places) -> Result<(), StageError> {
        match &self.encoder {
            MaybeInput::Input(_) => Ok(()),
            MaybeInput::Value(encoder) => encoder.ready(places),
        }
    }

    fn external_files(&self, places: &Places) -> Result<Vec<(String, PathBuf)>, StageError> {
        match &self.encoder {
            MaybeInput::Input(_) => Ok(Vec::new()),
            MaybeInput::Value(encoder) => encoder.external_files(places),
        }
    }

    fn source(&self, places: &Places) -> Option<PathBuf> {
        match &self.encoder {
            MaybeInput::Input(_) => None,
            MaybeInput::Value(encoder) => encoder.source(places),
        }
    }

    fn draws(&self) -> bool {
        true
    }

    fn computes(&self) -> bool {
        true
    }

    fn uses(&self) -> Uses {
        let of = |split: Split, purpose| DataUse { input: "dataset", part: split.name(), purpose };
        let validated = self.validated();
        // Scored images that choose the epoch, too, are no training for this stage's own score, but for later ones.
        let chosen_by = match validated {
            Split::Test => Vec::new(),
            split => vec![of(split, "choice of the epoch")],
        };
        Uses { trained: vec![of(Split::Train, "training")], scored: vec![("dataset", validated.name())], chosen_by }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        let classes = dataset.manifest.classes.clone();
        let mut samples = self.samples(&dataset, Split::Train)?;
        if samples.is_empty() {
            let message = "the data set has no training images with masks; look at its `split`, `test_images` and \
                `val_images`";
            return Err(StageError::BadData(message.into()));
        }
        let set_aside = self.set_aside(&mut samples, &dataset)?;
        self.keep_fraction(&mut samples, context.seed)?;
        let validation = self.validation(&dataset, set_aside)?;
        let network = SegmentationNetwork::new(self.network(context, classes.len())?);
        let mut parameters = self.training.parameters(context)?;
        network.init(&mut parameters, &Stream::new(context.seed, "model", 0, 0)).map_err(StageError::failed)?;
        self.load_encoder(&parameters, context)?;
        let training = Training {
            accumulate: self.accumulate,
            ema: self.ema,
            patience: self.patience,
            ..self.training.training(fingerprint(self, &dataset.manifest, context)?, context)
        };
        let mut task = Segmentation {
            parameters,
            network,
            loss: self.loss,
            samples: Arc::new(samples),
            augment: FinetuneAugment { crop_size: Some(self.crop_size.get()), ..self.augment.clone() },
            batch_size: self.training.batch_size.get(),
            crops_per_image: self.crops_per_image.get(),
            seed: context.seed,
            class_names: classes,
            validation,
        };
        task.check().map_err(StageError::BadData)?;
        let needs = task.memory(self.training.optimizer)?;
        let (accumulates, averages) = (self.accumulate.get() > 1, self.ema.is_some());
        admit(&Needs { accumulates, averages, ..needs }, context)?;
        let outcome = train(&mut task, &training, context)?;
        if let Some(best) = &outcome.best {
            best.restore(&task.parameters)?;
            context.telemetry.insert("best_epoch".into(), best.epoch.into());
        } else if self.select_on != SelectedOn::Last {
            let split = self.validated().name();
            return Err(StageError::BadData(format!(
                "no epoch has a mIoU on the {split} images, so that none can be chosen: their masks hold no class that \
                 counts; choose other images, or say `select_on = \"last\"`"
            )));
        }
        let selection = Selection {
            selected_on: self.select_on,
            validated_on: self.validated(),
            epoch: outcome.best.map_or(self.training.epochs.get(), |best| best.epoch),
        };
        selection.write(&context.out)?;
        let config = ModelConfig {
            network: task.network.config().clone(),
            crop_size: self.crop_size.get(),
            class_names: task.class_names,
            selected_on: self.select_on,
        };
        ModelFile::write(&task.parameters, &config, &context.out)
    }
}

/// Images and their masks.
type Samples = Vec<(Micrograph, Mask)>;

impl Finetune {
    /// The encoder that it starts with, if that is not another stage's.
    pub(super) fn encoder(&self) -> Option<&EncoderSpec> {
        match &self.encoder {
            MaybeInput::Input(_) => None,
            MaybeInput::Value(encoder) => Some(encoder),
        }
    }

    fn samples(&self, dataset: &OpenDataset, split: Split) -> Result<Samples, StageError> {
        let mut samples = Vec::new();
        for entry in dataset.entries(split) {
            if let (image, Some(mask)) = dataset.read(entry).map_err(data_error)? {
                samples.push((image, mask));
            }
        }
        Ok(samples)
    }

    /// The images that val_miou and iou_CLASS are taken on.
    fn validated(&self) -> Split {
        if self.select_on == SelectedOn::Test { Split::Test } else { Split::Val }
    }

    /// Takes the `val_fraction` of the training images out of `samples`.
    fn set_aside(&self, samples: &mut Samples, dataset: &OpenDataset) -> Result<Option<Samples>, StageError> {
        let Some(fraction) = self.val_fraction else { return Ok(None) };
        if !dataset.entries(Split::Val).is_empty() {
            let message = "the data set has validation images of its own: leave out `val_fraction`";
            return Err(StageError::BadData(message.into()));
        }
        let entries = dataset.entries(Split::Train);
        let specimens: Vec<_> =
            entries.iter().filter(|entry| entry.mask.is_some()).map(|entry| entry.specimen.as_deref()).collect();
        let chosen = aside::choose(fraction, &specimens).map_err(StageError::BadData)?;
        let (aside, rest) =
            std::mem::take(samples).into_iter().enumerate().partition::<Vec<_>, _>(|(i, _)| chosen.contains(i));
        *samples = rest.into_iter().map(|(_, sample)| sample).collect();
        Ok(Some(aside.into_iter().map(|(_, sample)| sample).collect()))
    }

    fn validation(&self, dataset: &OpenDataset, set_aside: Option<Samples>) -> Result<Validation, StageError> {
        let split = self.validated();
        let samples = set_aside.map_or_else(|| self.samples(dataset, split), Ok)?;
        if samples.is_empty() && self.select_on != SelectedOn::Last {
            let (word, cure, other) = match self.select_on {
                SelectedOn::Test => ("test", "`split = { test = … }` or `test_images`", "\"val\""),
                _ => ("validation", "`split = { val = … }` or `val_images`", "\"test\" (as the authors did)"),
            };
            let fraction = match self.select_on {
                SelectedOn::Val => "give `val_fraction = 0.2` here, ",
                _ => "",
            };
            return Err(StageError::BadData(format!(
                "`select_on = \"{}\"` needs {word} images, and the data set has none: give it some ({cure} in the \
                 data set's own table), {fraction}or say `select_on = \"last\"` or {other}",
                split.name()
            )));
        }
        Ok(Validation {
            samples,
            ignore_classes: dataset.manifest.ignore_classes.clone(),
            every: self.validate_every.get(),
            epochs: self.training.epochs.get(),
            overlap: self.validation_overlap,
            selects: self.select_on != SelectedOn::Last,
        })
    }

    fn network(&self, context: &Context, classes: usize) -> Result<SegmentationConfig, StageError> {
        let encoder = match &self.encoder {
            MaybeInput::Value(encoder) => encoder.config(),
            MaybeInput::Input(_) => EncoderFile::config(context.input("encoder")?)?,
        };
        Ok(SegmentationConfig {
            architecture: self.architecture,
            encoder,
            decoder_channels: self.decoder_channels.map(NonZeroUsize::get),
            classes,
        })
    }

    fn load_encoder(&self, parameters: &Parameters, context: &mut Context) -> Result<(), StageError> {
        match &self.encoder {
            MaybeInput::Value(encoder) => encoder.load(parameters, ENCODER, context),
            MaybeInput::Input(_) => EncoderFile::load(parameters, context.input("encoder")?),
        }
    }
}

#[cfg(test)]
mod tests;
