//! `finetune`: a segmentation model from an encoder and images with masks.

use super::encoder::EncoderSpec;
use super::pretrain::ENCODER_FILE;
use super::segmentation::{Loss, Segmentation, Validation};
use super::training::{CHECKPOINT_EVERY, has, take, train};
use super::{Context, Places, Stage, StageError, open_dataset};
use crate::data::augment::FinetuneAugment;
use crate::data::{Mask, Micrograph, OpenDataset, Split};
use crate::experiment::{self, Input, MaybeInput, ParamError, ReferenceSpec, SpannedTable, vocabulary::INPUT};
use crate::metrics::SelectedOn;
use crate::nn::unet_plus_plus::{UnetPlusPlus, UnetPlusPlusConfig};
use crate::nn::{Parameters, ResNetConfig, weights};
use crate::random::Stream;
use crate::ssl::ENCODER;
use crate::train::inference::ModelConfig;
use crate::train::{OptimizerSpec, ScheduleSpec, Training};
use anyhow::Context as _;
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

/// Leaves `model.safetensors` (segmentation_models_pytorch's names) of the epoch that [`SelectOn`] chooses, and
/// `history.csv` (epoch, train_loss, learning_rate, gradient_norm, val_miou, iou_CLASS; empty where an epoch was not
/// validated).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    /// Images and masks.
    dataset: Input,
    /// A pretraining, or an encoder in place.
    encoder: MaybeInput<EncoderSpec>,
    /// The network around the encoder.
    #[serde(default)]
    architecture: Architecture,
    /// Channels of the decoder, deepest first: 256, 128, 64, 32, 16 in segmentation_models_pytorch and the paper.
    #[serde(default = "default_decoder")]
    decoder_channels: [NonZeroUsize; 5],
    /// Dice in the paper.
    #[serde(default)]
    loss: Loss,
    /// Passes over the training images: 200 in the paper.
    epochs: NonZeroU64,
    /// Crops in a step; the last batch of an epoch may be smaller.
    batch_size: NonZeroUsize,
    /// Side of the crops and of validation's tiles in pixels, a multiple of 32: 256 in the paper.
    #[serde(default = "default_crop_size")]
    crop_size: NonZeroUsize,
    /// Random crops of each image in an epoch.
    #[serde(default = "one")]
    crops_per_image: NonZeroUsize,
    /// How crops are changed at random.
    #[serde(default)]
    augment: FinetuneAugment,
    /// Adam, 1e-4, weight decay 1e-5 in the paper.
    #[serde(default = "default_optimizer")]
    optimizer: OptimizerSpec,
    /// Constant by default.
    #[serde(default)]
    schedule: ScheduleSpec,
    /// Whose mIoU chooses the epoch that is kept.
    #[serde(default)]
    select_on: SelectedOn,
    /// Epochs between validations; the last epoch has one always.
    #[serde(default = "every_epoch")]
    validate_every: NonZeroU64,
    /// Part of its side by which a tile overlaps the next in validation, from 0 to below 1.
    #[serde(default = "default_overlap")]
    validation_overlap: f64,
}

/// The network around the encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Architecture {
    /// Zhou et al. 2018, as in segmentation_models_pytorch.
    #[default]
    #[serde(rename = "unet++")]
    UnetPlusPlus,
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

fn default_optimizer() -> OptimizerSpec {
    OptimizerSpec::Adam { learning_rate: 1e-4, weight_decay: 1e-5 }
}

impl Stage for Finetune {
    const KIND: &'static str = "finetune";
    const CODE_VERSION: u32 = 1;
    const SEEDED: bool = true;
    const TRAINS: bool = true;
    const REFERENCES: &'static [ReferenceSpec] = &[
        ReferenceSpec {
            param: "dataset",
            kinds: &["dataset", "synthesize"],
            many: false,
            optional: false,
            all_seeds: false,
        },
        ReferenceSpec { param: "encoder", kinds: &["pretrain"], many: false, optional: true, all_seeds: false },
    ];

    fn parse(mut table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        if has(&table, "augment", "crop_size") {
            let message = "the size of a crop is the stage's own `crop_size`".into();
            errors.push(ParamError::Check { param: "augment.crop_size", message });
        }
        // Taken apart here, for serde's untagged enums lose the place of an error.
        let encoder = take(&mut table, "encoder", INPUT)
            .filter(|value| !value.get_ref().is_str())
            .map(|value| EncoderSpec::deserialize(toml::de::ValueDeserializer::from(value)));
        let mut stage = experiment::deserialize::<Self>(table).map_err(|more| errors.extend(more)).ok();
        match (encoder, &mut stage) {
            (Some(Ok(encoder)), Some(stage)) => stage.encoder = MaybeInput::Value(encoder),
            (Some(Err(error)), _) => errors.push(ParamError::Toml(error)),
            _ => {}
        }
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
            return error("crop_size", format!("{} is no multiple of 32, which U-Net++ needs", self.crop_size));
        }
        if let Err((name, message)) = self.augment.check() {
            return error("augment", format!("{name}: {message}"));
        }
        if let Err(message) = self.schedule.check(self.epochs.get(), self.optimizer.learning_rate()) {
            return error("schedule", message);
        }
        if !(0.0..1.0).contains(&self.validation_overlap) {
            let message = format!("an overlap of {}; expected 0 to below 1, e.g. 0.25", self.validation_overlap);
            return error("validation_overlap", message);
        }
        Ok(())
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

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        let classes = dataset.manifest.classes.clone();
        let samples = self.samples(&dataset, Split::Train)?;
        if samples.is_empty() {
            let message = "the data set has no training images with masks; look at its `split`, or `val_fraction`";
            return Err(StageError::BadData(message.into()));
        }
        let validation = self.validation(&dataset)?;
        let network = UnetPlusPlus::new(self.network(context, classes.len())?);
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        network.init(&mut parameters, &Stream::new(context.seed, "model", 0, 0))?;
        let missing = self.load_encoder(&parameters, context)?;
        let fingerprint = serde_json::to_string(&(self, context.seed, &dataset.manifest, Self::CODE_VERSION));
        let training = Training {
            epochs: self.epochs.get(),
            optimizer: self.optimizer,
            schedule: self.schedule,
            checkpoint: context.checkpoint.clone(),
            checkpoint_every: CHECKPOINT_EVERY,
            fingerprint: fingerprint.map_err(anyhow::Error::from)?,
        };
        let mut task = Segmentation {
            parameters,
            network,
            loss: self.loss,
            samples: Arc::new(samples),
            augment: FinetuneAugment { crop_size: Some(self.crop_size.get()), ..self.augment.clone() },
            batch_size: self.batch_size.get(),
            crops_per_image: self.crops_per_image.get(),
            seed: context.seed,
            class_names: classes,
            validation,
        };
        let outcome = train(&mut task, &training, context)?;
        if let Some(best) = outcome.best {
            best.restore(&task.parameters)?;
            context.telemetry.insert("best_epoch".into(), best.epoch.into());
        }
        if !missing.is_empty() {
            context.telemetry.insert("missing_weights".into(), missing.into());
        }
        let config = ModelConfig {
            network: task.network.config().clone(),
            crop_size: self.crop_size.get(),
            class_names: task.class_names,
            selected_on: self.select_on,
        };
        let config = serde_json::to_string(&config).map_err(anyhow::Error::from)?;
        weights::save(&task.parameters, None, &context.out.join("model.safetensors"), &config)?;
        Ok(())
    }
}

impl Finetune {
    fn samples(&self, dataset: &OpenDataset, split: Split) -> Result<Vec<(Micrograph, Mask)>, StageError> {
        let mut samples = Vec::new();
        for entry in dataset.entries(split) {
            if let (image, Some(mask)) = dataset.read(entry)? {
                samples.push((image, mask));
            }
        }
        Ok(samples)
    }

    fn validation(&self, dataset: &OpenDataset) -> Result<Validation, StageError> {
        let split = if self.select_on == SelectedOn::Test { Split::Test } else { Split::Val };
        let samples = self.samples(dataset, split)?;
        if samples.is_empty() && self.select_on != SelectedOn::Last {
            let (word, other) = match self.select_on {
                SelectedOn::Test => ("test", "\"val\""),
                _ => ("validation", "\"test\" (as the authors did)"),
            };
            return Err(StageError::BadData(format!(
                "`select_on = \"{}\"` needs {word} images, and the data set has none: give it some (`val_fraction` takes \
                 them from the training images), or say `select_on = \"last\"` or {other}",
                split.name()
            )));
        }
        Ok(Validation {
            samples,
            ignore_classes: dataset.manifest.ignore_classes.clone(),
            every: self.validate_every.get(),
            epochs: self.epochs.get(),
            overlap: self.validation_overlap,
            selects: self.select_on != SelectedOn::Last,
        })
    }

    fn network(&self, context: &Context, classes: usize) -> Result<UnetPlusPlusConfig, StageError> {
        let encoder = match &self.encoder {
            MaybeInput::Value(encoder) => encoder.config(),
            MaybeInput::Input(_) => {
                let file = context.input("encoder")?.file(ENCODER_FILE)?;
                let config = weights::read_config(file)?.context("the encoder does not say which network it is")?;
                serde_json::from_str::<ResNetConfig>(&config).context("the encoder's description of itself")?
            }
        };
        let Architecture::UnetPlusPlus = self.architecture;
        Ok(UnetPlusPlusConfig { encoder, decoder_channels: self.decoder_channels.map(NonZeroUsize::get), classes })
    }

    fn load_encoder(&self, parameters: &Parameters, context: &Context) -> Result<Vec<String>, StageError> {
        match &self.encoder {
            MaybeInput::Value(encoder) => encoder.load(parameters, ENCODER, &context.places),
            MaybeInput::Input(_) => {
                let file = context.input("encoder")?.file(ENCODER_FILE)?;
                Ok(weights::load(parameters, ENCODER, file, false)?.missing)
            }
        }
    }
}
