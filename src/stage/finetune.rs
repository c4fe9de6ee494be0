//! `finetune`: trains a segmentation model from an encoder and images with masks.

mod automatic_batch;
mod defaults;
mod encoder_norms;
mod folds;
mod loss;
mod model_path;
mod network;
mod parts;
mod rates;
mod recipe;
mod reference;
mod samples;
mod sampling;
mod start;
mod task;
mod train_fraction;
mod transformer;
mod val_fraction;
mod whole_model;

use super::artifacts::{HistoryFile, ModelFile, ReferenceFile, Selection};
use super::data_set::manifests_of;
use super::encoder::{EncoderSpec, MODEL, fingerprint};
use super::memory::admit;
use super::outlook::Outlook;
use super::seen_images::SeenImages;
use super::segmentation::Segmentation;
use super::training::{has, train};
use super::training_parameters::{TrainingDefaults, TrainingParameters};
use super::{
    Context, DATASET, DataUse, Foresight, InputStages, Known, Places, StageError, StageKind, Uses, open_dataset,
};
use crate::data::augment::FinetuneAugment;
use crate::data::loader::RareCrops;
use crate::data::{Entry, Manifest, Split};
use crate::experiment::{self, Division, Input, MaybeInput, ParamError, ReferenceSpec, SpannedTable};
use crate::metrics::SelectedOn;
use crate::nn::losses::{ClassWeighting, LossSpec};
use crate::nn::{Architecture, EncoderConfig, SegmentationNetwork};
use crate::random::Stream;
use crate::train::inference::ModelConfig;
use crate::train::{OptimizerSpec, Training};
use defaults::{all_images, default_crop_size, default_overlap, every_epoch, is_all_images, is_single, one, single};
use encoder_norms::EncoderNorms;
use model_path::ModelPath;
use recipe::Recipe;
use reference::Names;
use samples::samples;
use sampling::Sampling;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use start::Start;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use transformer::{DecoderStart, TransformerSpec};

/// Trains a segmentation model. Writes `model.safetensors` (segmentation_models_pytorch's names) of the epoch that
/// `select_on` chooses, `history.csv` (epoch, step, train_loss, learning_rate, gradient_norm, val_loss, val_miou,
/// iou_CLASS; empty where an epoch was not validated; val_miou is the mean over the classes that the validation images have),
/// `selection.json`: the images of val_miou and iou_CLASS, and the chosen epoch, and `reference.safetensors`: the temperature that calibrates the probabilities and the confusion matrix
/// of each image, both of the validation images (never of test images), and what the training images look like.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Finetune {
    /// Images and masks.
    dataset: Input,
    /// A `pretrain` stage, or a table that describes the encoder. Needed unless there is a `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MaybeInput<EncoderSpec>")]
    encoder: Option<MaybeInput<EncoderSpec>>,
    /// A whole trained model to start from, in place of `encoder`: another `finetune` stage (of the same seed), or the path of a
    /// model folder or of its `model.safetensors`. A path has a `/` (`"./steel"`), and starts at the data folder if it is relative.
    /// Encoder and decoder start from it; the head too if the classes have the same names in the same order, else the head is
    /// new. `encoder`, `architecture` and `decoder_channels` are the model's, and may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MaybeInput<ModelPath>")]
    model: Option<MaybeInput<ModelPath>>,
    /// What starts from `model`, or from a whole model's file in `encoder.weights`: `"encoder"` (the default for a file),
    /// `"decoder"` (encoder and decoder, with a new head) or `"model"` (all of it; refused for other classes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Start")]
    start: Option<Start>,
    /// `"robust"`: cross-entropy and Dice, augmentation `"nnunet"`, a third of the crops at rare classes, AdamW at 1e-3, a polynomial
    /// schedule; each unless the stage sets it itself.
    #[serde(rename = "recipe", default, skip_serializing)]
    _recipe: Option<Recipe>,
    /// `"unet++"` (the paper's) or `"unet"`; on a Swin transformer `"swin-unet"`; `"cs-unet"`, whose `encoder` is convolutional and
    /// beside a `transformer`; on the deepest map of any encoder `"linear"` (batch norm and a 1×1 convolution, the
    /// logits enlarged to the image) or `"conv"` (two 3×3 convolutions before that); on all its maps `"hypercolumn"`: a linear
    /// classifier of every pixel, which with `freeze = true` probes what the encoder knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Architecture", extend("default" = "unet++"))]
    architecture: Option<Architecture>,
    /// Whether the encoder stays as it is: it runs as in a prediction, and only decoder and head are trained.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    freeze: bool,
    /// Number of epochs at the start in which the encoder stays as it is, as with `freeze`: decoder and head learn first. After them
    /// the optimiser begins with the encoder; the schedule goes on.
    #[serde(default, skip_serializing_if = "is_zero")]
    freeze_epochs: u64,
    /// Learning rate of the encoder, e.g. a tenth of that of decoder and head, which have the optimiser's. The schedule changes both in
    /// proportion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoder_learning_rate: Option<f64>,
    /// Factor of the learning rate from layer to layer of the encoder towards the image, e.g. 0.8. Layers are the stem and the four
    /// stages of a ResNet, or the patches and the blocks of a transformer. Layer i of n, counted from 0, has `layer_decay` to the power of
    /// (n - i) of the encoder's learning rate; decoder and head have all of the optimiser's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer_decay: Option<f64>,
    /// What the batch norms of the encoder normalise with in training: `"batch"`, the statistics of the batch, or `"frozen"`, their running
    /// statistics, which stay as they are, as for small batches on a pretrained encoder; scale and shift are trained.
    #[serde(default, skip_serializing_if = "EncoderNorms::is_default")]
    encoder_norms: EncoderNorms,
    /// The transformer beside the encoder of `"cs-unet"`, and its initial weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transformer: Option<TransformerSpec>,
    /// How the blocks of the decoder of `"swin-unet"` and `"cs-unet"` start: `"copied"` from the transformer's blocks of the same
    /// width (the default if the transformer starts with weights), or `"random"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decoder: Option<DecoderStart>,
    /// Channels of the decoder of `"unet++"` and `"unet"`, deepest first: 256, 128, 64, 32, 16 in segmentation_models_pytorch and the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "[NonZeroUsize; 5]", extend("default" = [256, 128, 64, 32, 16]))]
    decoder_channels: Option<[NonZeroUsize; 5]>,
    /// The loss: `"dice"` in the paper; `"cross-entropy"`, `"focal"`, `"jaccard"`, `"tversky"`, `"focal-tversky"`, `"lovasz-softmax"`,
    /// `"nasa-dice-bce"`; with parameters as `{ name = "focal", gamma = 2.0 }`; or a sum with weights, as `{ dice = 0.5, cross-entropy
    /// = 0.5 }`. On a GPU Dice and cross-entropy only.
    #[serde(default)]
    loss: LossSpec,
    /// Weights of the classes in the loss, so that rare ones count: `"inverse"` (1 / pixels of the class in the training images,
    /// scaled to a mean of 1), `"effective"` (more even than that: Cui et al. 2019), or a table `{ CLASS = weight }`, in which other
    /// classes have weight 1. The validation loss has the same weights. On the CPU only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class_weights: Option<ClassWeighting>,
    #[serde(flatten)]
    training: TrainingParameters<Finetune>,
    /// Side of the crops and of the validation tiles in pixels, a multiple of 32 up to 4096: 256 in the paper. For transformers of
    /// windows also a multiple of 32 times `window`, with exceptions for small images.
    #[serde(default = "default_crop_size")]
    crop_size: NonZeroUsize,
    /// Number of random crops of each image per epoch.
    #[serde(default = "one")]
    crops_per_image: NonZeroUsize,
    /// Number of random crops of all images together per epoch, in place of `crops_per_image`: trainings on few and on many images then
    /// have the same number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crops_per_epoch: Option<NonZeroUsize>,
    /// How the crops are drawn: `{ rare = 0.5 }` for half of them with a pixel of a rare class. By default they lie anywhere.
    #[serde(default, skip_serializing_if = "Sampling::is_uniform")]
    sampling: Sampling,
    /// Random augmentation of the crops: the name of a preset, or a table.
    #[serde(default)]
    augment: FinetuneAugment,
    /// The images whose mIoU chooses the epoch that is kept.
    #[serde(default)]
    select_on: SelectedOn,
    /// Fraction of the training images that is used for validation instead, for a data set without validation images.
    /// The same images for all seeds and encoders. Specimens are not divided if the data set has a `group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    val_fraction: Option<f64>,
    /// Number of parts of a cross-validation, 2 to 20, for a data set without validation images. The stage becomes as many
    /// trainings, called `NAME.fold1`, `NAME.fold2` and so on: each is validated on its own part of the training images and trained on the
    /// others. The parts are the same for all seeds and encoders. Specimens are not divided if the data set has a `group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folds: Option<NonZeroUsize>,
    /// The only one of the `folds` that is trained, from 1; without it all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fold: Option<NonZeroUsize>,
    /// Fraction of the training images that is used, after removal of `val_fraction`. Drawn from the experiment's seed,
    /// the same for all encoders. A smaller fraction is a subset of a larger one.
    #[serde(default = "all_images", skip_serializing_if = "is_all_images")]
    train_fraction: f64,
    /// Number of training images that is used, in place of `train_fraction`. Drawn in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    train_images: Option<NonZeroUsize>,
    /// Number of epochs without improvement after which the training stops. Those of `freeze_epochs` do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patience: Option<NonZeroU64>,
    /// Decay per step of an exponential moving average of the weights, e.g. 0.999. Validation and the saved model use
    /// the average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ema: Option<f64>,
    /// Number of batches whose gradients are averaged for one optimiser step. Each has its own batch statistics and
    /// loss.
    #[serde(default = "single", skip_serializing_if = "is_single")]
    accumulate: NonZeroU64,
    /// Number of epochs from one validation to the next. The last epoch is always validated.
    #[serde(default = "every_epoch")]
    validate_every: NonZeroU64,
    /// Overlap of neighbouring validation tiles as a fraction of their side, from 0 to below 1.
    #[serde(default = "default_overlap")]
    validation_overlap: f64,
}

fn is_zero(epochs: &u64) -> bool {
    *epochs == 0
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
    const CODE_VERSION: u32 = 9;
    const TRAINS: bool = true;
    const DIVIDED: Option<Division> = Some(Division { count: "folds", index: "fold" });
    // The key contains the content of the weight file. Random weights have no file.
    const UNKEYED: &'static [&'static str] = &["encoder.weights", "transformer.weights", MODEL, "recompute"];
    const LEAVES: &'static [&'static str] = &[ModelFile::FILE, HistoryFile::FILE, Selection::FILE, ReferenceFile::FILE];
    const REFERENCES: &'static [ReferenceSpec] = &[
        DATASET,
        ReferenceSpec::one("encoder", &["pretrain"]).or_value(),
        ReferenceSpec::one(MODEL, &["finetune"]).or_path(),
    ];

    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        if has(&table, "augment", "crop_size") {
            let message = "set the size of a crop with the stage's `crop_size`".into();
            errors.push(ParamError::Check { param: "augment.crop_size", message });
        }
        let stage = experiment::deserialize::<Self>(Recipe::filled(table)).map_err(|more| errors.extend(more)).ok();
        stage.filter(|_| errors.is_empty()).map(Self::settled).ok_or(errors)
    }

    fn check(&self) -> Result<(), ParamError> {
        let error = |param, message| Err(ParamError::Check { param, message });
        if let Err((param, message)) = self.check_network() {
            return error(param, message);
        }
        if self.crop_size.get() > 4096 {
            return error("crop_size", format!("{} is more than 4096 pixels", self.crop_size));
        }
        if let Err((name, message)) = self.augment.check() {
            return error("augment", format!("{name}: {message}"));
        }
        if let Err((param, message)) = self.check_loss().and_then(|()| self.check_encoder_training()) {
            return error(param, message);
        }
        if let Err(message) = self.sampling.check() {
            return error("sampling", message);
        }
        self.training.check()?;
        if self.crops_per_epoch.is_some() && self.crops_per_image != one() {
            return error("crops_per_epoch", "says the same as `crops_per_image`: leave out one of them".into());
        }
        if let Some(fraction) = self.val_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            return error("val_fraction", format!("{fraction} is out of range: above 0 and below 1, e.g. 0.2"));
        }
        if self.val_fraction.is_some() && self.select_on == SelectedOn::Test {
            return error(
                "val_fraction",
                "has no effect with `select_on = \"test\"`, which validates on the test images".into(),
            );
        }
        if let Err((param, message)) = self.check_folds() {
            return error(param, message);
        }
        if !(self.train_fraction > 0.0 && self.train_fraction <= 1.0) {
            let message = format!("{} is out of range: above 0, up to 1, e.g. 0.25", self.train_fraction);
            return error("train_fraction", message);
        }
        if self.train_images.is_some() && !is_all_images(&self.train_fraction) {
            return error("train_images", "says the same as `train_fraction`: leave out one of them".into());
        }
        if let Some(keep) = self.ema.filter(|keep| !(0.0..1.0).contains(keep)) {
            return error("ema", format!("{keep} is out of range: 0 to below 1, e.g. 0.999"));
        }
        if self.patience.is_some() && self.select_on == SelectedOn::Last {
            let message = "epochs cannot be compared with `select_on = \"last\"`".into();
            return error("patience", message);
        }
        if let Some(patience) = self.patience.filter(|patience| *patience < self.validate_every) {
            let message = format!("{patience} is less than `validate_every`: expected {} or more", self.validate_every);
            return error("patience", message);
        }
        if !(0.0..1.0).contains(&self.validation_overlap) {
            let message = format!("an overlap of {}; expected 0 to below 1, e.g. 0.25", self.validation_overlap);
            return error("validation_overlap", message);
        }
        Ok(())
    }

    fn settle(self, inputs: &mut InputStages<'_>) -> Result<Self, ParamError> {
        self.with_batch_size(inputs)
    }

    fn settled(&self) -> Option<String> {
        self.training.batch_size.settled()
    }

    fn needs_gpu(&self) -> Option<String> {
        self.training.needs_gpu()
    }

    fn needs_cpu(&self) -> Option<String> {
        self.network_on_cpu().or_else(|| self.rates_on_cpu()).or_else(|| self.loss_on_cpu())
    }

    fn output_needs_cpu(&self) -> Option<String> {
        self.network_on_cpu()
    }

    fn ready(&self, places: &Places) -> Result<(), StageError> {
        self.checked_weights(places).map(drop)
    }

    fn external_files(&self, places: &Places) -> Result<Vec<(String, PathBuf)>, StageError> {
        self.weight_files(places)
    }

    fn wants(&self, places: &Places) -> Option<String> {
        self.missing_weights(places)
    }

    fn source(&self, places: &Places) -> Option<PathBuf> {
        let model = self.model_path().and_then(|model| Some(model.file(places).ok()?.parent()?.to_owned()));
        model.or_else(|| self.encoder().and_then(|encoder| encoder.source(places)))
    }

    fn draws(&self) -> bool {
        true
    }

    fn computes(&self) -> bool {
        true
    }

    fn uses(&self) -> Uses {
        let of = |split: Split, purpose| DataUse { input: "dataset", part: split.name(), purpose };
        let validated = self.validation_split();
        // Images that choose the epoch count as training images for the scores of later stages, not for this one's.
        let chosen_by = match validated {
            Split::Test => Vec::new(),
            split => vec![of(split, "choice of the epoch")],
        };
        Uses { trained: vec![of(Split::Train, "training")], scored: vec![("dataset", validated.name())], chosen_by }
    }

    fn reads(&self, role: &str) -> Vec<String> {
        match role {
            "dataset" => manifests_of([Split::Train, Split::Val, self.validation_split()]),
            MODEL => vec![ModelFile::FILE.to_owned()],
            _ => Vec::new(),
        }
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let pretrained = known.inputs("encoder").next().and_then(Outlook::of);
        let encoder = match (self.encoder(), pretrained) {
            (Some(encoder), _) => Some(encoder.network.clone()),
            (None, Some(Outlook::Training { encoder, .. })) => encoder.clone(),
            (None, _) => None,
        };
        let model = match self.foreseen_model(known) {
            Ok(model) => model,
            Err(problem) => return Foresight::of(Err(problem)),
        };
        let fit =
            encoder.clone().filter(|_| self.model.is_none()).map(|encoder| self.check_fit(&self.config(encoder, 1)));
        if let Some(Err((name, message))) = fit {
            return Foresight::of(Err(format!("`{name}`: {message}")));
        }
        let Some((name, manifest)) = Outlook::images(known, "dataset") else { return Foresight::nothing() };
        let parts = match self.parts(manifest, name, known.seed) {
            Ok(parts) => parts,
            Err(problem) => return Foresight::of(Err(problem)),
        };
        let network = match &model {
            Some(model) => self.foreseen_network(model, &manifest.classes).map(Some),
            None => {
                Ok(encoder.filter(|_| self.model.is_none()).map(|encoder| self.config(encoder, manifest.classes.len())))
            }
        };
        let network = match network {
            Ok(network) => network,
            Err(problem) => return Foresight::of(Err(problem)),
        };
        let encoder = network.as_ref().map(|network| network.encoder.clone());
        let in_channels = encoder.as_ref().map(EncoderConfig::in_channels);
        if let Some(Err(problem)) = in_channels.map(|in_channels| self.check_channels(manifest, in_channels)) {
            return Foresight::of(Err(problem));
        }
        if let (Some(encoder), Some(network), None) = (self.encoder(), &network, &self.model)
            && let Err(problem) = self.start().foresee(encoder, network, &manifest.classes, known.places)
        {
            return Foresight::of(Err(problem));
        }
        let columns = ["step", "learning_rate", "gradient_norm"].into_iter().map(str::to_owned);
        let seen = self.seen_before(known, manifest, &parts);
        if let (Some(problem), Some(_)) = (&seen, self.fold) {
            return Foresight::of(Err(problem.clone()));
        }
        let outlook = Outlook::Training {
            columns: Some(columns.chain(Segmentation::columns(&manifest.classes)).collect()),
            classes: Some(manifest.classes.clone()),
            in_channels,
            encoder,
            has_onnx: network.as_ref().is_none_or(|network| network.is_convolutional()),
            network: network.map(Box::new),
            seen: Outlook::seen(known).chain([Arc::new(SeenImages::of(manifest, &parts.train))]).collect(),
        };
        Foresight {
            prospect: outlook.prospect(),
            warnings: self.warnings(&parts, manifest, name).into_iter().chain(seen).collect(),
            ..Foresight::nothing()
        }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        let classes = dataset.manifest.classes.clone();
        let name = &context.input("dataset")?.label;
        let config = self.network(context, classes.len())?;
        let parts = self.parts(&dataset.manifest, name, context.seed).map_err(StageError::BadData)?;
        self.check_channels(&dataset.manifest, config.encoder.in_channels()).map_err(StageError::BadData)?;
        let (samples, validation) = (samples(&dataset, &parts.train)?, samples(&dataset, &parts.validation)?);
        let validation = self.validation(validation, &dataset.manifest.ignore_classes);
        let class_weights = self.weights_of_classes(&classes, &samples).map_err(StageError::BadData)?;
        let named = |entries: &[&Entry]| entries.iter().map(|entry| entry.image.clone()).collect();
        let names = Names { training: named(&parts.train), validation: named(&parts.validation) };
        let network = SegmentationNetwork::new(config);
        let mut parameters = self.frozen(self.training.parameters(context)?, &network);
        let rare = (!self.sampling.is_uniform())
            .then(|| Arc::new(RareCrops::new(self.sampling.rare, &samples, classes.len(), &validation.ignore_classes)));
        network.init(&mut parameters, &Stream::new(context.seed, "model", 0, 0)).map_err(StageError::failed)?;
        self.load_weights(&network, &parameters, &classes, context)?;
        let training = Training {
            accumulate: self.accumulate,
            ema: self.ema,
            patience: self.patience,
            patience_from: self.freeze_epochs,
            ..self.training.training(fingerprint(self, &dataset.manifest, context)?, context)
        };
        let (trained, images) = ((network, parameters), (samples, validation));
        let task = self.task(trained, classes, images, self.training.batch_size.get(), context.seed);
        let mut task = Segmentation { class_weights, rare, ..task };
        admit(&self.needs(&task)?, context)?;
        let outcome = train(&mut task, &training, context)?;
        if let Some(best) = &outcome.best {
            best.restore(&task.parameters)?;
            context.telemetry.insert("best_epoch".into(), best.epoch.into());
        } else if self.select_on != SelectedOn::Last {
            let split = self.validation_split().name();
            return Err(StageError::BadData(format!(
                "no epoch can be chosen: mIoU is undefined on the {split} images, because their masks contain no class \
                 that counts; choose other images, or set `select_on = \"last\"`"
            )));
        }
        let selection = Selection {
            selected_on: self.select_on,
            validated_on: self.validation_split(),
            epoch: outcome.best.map_or(self.training.epochs.get(), |best| best.epoch),
        };
        selection.write(&context.out)?;
        let started = Instant::now();
        let reference = reference::of(&task, names, &selection)?;
        context.telemetry.insert("reference_seconds".into(), started.elapsed().as_secs_f64().into());
        ReferenceFile::write(&reference, &context.out)?;
        let config = ModelConfig {
            network: task.network.config().clone(),
            crop_size: self.crop_size.get(),
            class_names: task.class_names,
            selected_on: self.select_on,
            fold: self.fold(),
        };
        ModelFile::write(&task.parameters, &config, &context.out)
    }
}

impl Finetune {
    /// The split of the images of val_miou and iou_CLASS.
    fn validation_split(&self) -> Split {
        if self.select_on == SelectedOn::Test { Split::Test } else { Split::Val }
    }

    /// Checks that a network of `in_channels` takes the images that it is trained and validated on.
    fn check_channels(&self, manifest: &Manifest, in_channels: usize) -> Result<(), String> {
        manifest.check_channels(&[Split::Train, self.validation_split()], true, in_channels)
    }
}

#[cfg(test)]
mod tests;
