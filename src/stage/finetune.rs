//! `finetune`: a segmentation model from an encoder and images with masks.

use super::encoder::{EncoderSpec, fingerprint};
use super::memory::admit;
use super::pretrain::ENCODER_FILE;
use super::segmentation::{Loss, Segmentation, Validation};
use super::training::{CHECKPOINT_SHARE, CHECKPOINT_WAIT, SELECTION_FILE, Selection, has, is_yes, take, train, yes};
use super::{Context, DATASET, Places, Stage, StageError, open_dataset};
use crate::data::augment::FinetuneAugment;
use crate::data::{Mask, Micrograph, OpenDataset, Split};
use crate::experiment::{self, Input, MaybeInput, ParamError, ReferenceSpec, SpannedTable, vocabulary::INPUT};
use crate::metrics::SelectedOn;
use crate::nn::{Architecture, Parameters, Precision, ResNetConfig, SegmentationConfig, SegmentationNetwork, weights};
use crate::random::Stream;
use crate::ssl::ENCODER;
use crate::train::inference::ModelConfig;
use crate::train::memory::Needs;
use crate::train::{OptimizerSpec, ScheduleSpec, Training};
use anyhow::Context as _;
use candle_core::DType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

/// Leaves `model.safetensors` (segmentation_models_pytorch's names) of the epoch that `select_on` chooses,
/// `history.csv` (epoch, step, train_loss, learning_rate, gradient_norm, val_loss, val_miou, iou_CLASS; empty where an epoch
/// was not validated) and `selection.json`, which says on which images val_miou and iou_CLASS were taken and how the epoch was
/// chosen.
#[derive(Debug, Serialize, Deserialize)]
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
    #[serde(default = "default_decoder", deserialize_with = "experiment::exactly")]
    decoder_channels: [NonZeroUsize; 5],
    /// Dice in the paper.
    #[serde(default)]
    loss: Loss,
    /// Passes over the training images: 200 in the paper.
    epochs: NonZeroU64,
    /// Crops in a step, 8 by default; the last batch of an epoch may be smaller.
    #[serde(default = "default_batch_size")]
    batch_size: NonZeroUsize,
    /// Side of the crops and of validation's tiles in pixels, a multiple of 32 up to 4096: 256 in the paper.
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
    /// Part of the training images that is set aside to validate on, for a data set without validation images; the same
    /// images for every seed and every encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    val_fraction: Option<f64>,
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
    /// `"float32"`; `"tf32"` or `"bf16"` on a GPU.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    precision: Precision,
    /// The same bits each time, as in the paper; false allows a GPU what is faster.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    deterministic: bool,
    /// Computes activations again in the backward pass instead of keeping them: less memory, more time, the same bits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    recompute: bool,
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

fn default_batch_size() -> NonZeroUsize {
    const { NonZeroUsize::new(8).unwrap() }
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
    OptimizerSpec::adam(1e-4, 1e-5)
}

impl Stage for Finetune {
    const KIND: &'static str = "finetune";
    const CODE_VERSION: u32 = 4;
    const SEEDED: bool = true;
    const TRAINS: bool = true;
    const COMPUTES: bool = true;
    // The weights themselves are in the key, by content; random ones leave no file there.
    const UNKEYED: &'static [&'static str] = &["encoder.weights", "recompute"];
    const REFERENCES: &'static [ReferenceSpec] = &[DATASET, ReferenceSpec::one("encoder", &["pretrain"]).or_value()];

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
            return error("crop_size", format!("{} is no multiple of 32, which the network needs", self.crop_size));
        }
        if self.crop_size.get() > 4096 {
            return error("crop_size", format!("{} is more than 4096 pixels", self.crop_size));
        }
        if let Err((name, message)) = self.augment.check() {
            return error("augment", format!("{name}: {message}"));
        }
        if let Err(message) = self.schedule.check(self.epochs.get(), self.optimizer.learning_rate()) {
            return error("schedule", message);
        }
        if let Some(fraction) = self.val_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            return error(
                "val_fraction",
                format!("{fraction} is no part of the images: above 0 and below 1, e.g. 0.2"),
            );
        }
        if self.val_fraction.is_some() && self.select_on == SelectedOn::Test {
            return error("val_fraction", "nothing is validated on it with `select_on = \"test\"`".into());
        }
        if let Some(keep) = self.ema.filter(|keep| !(0.0..1.0).contains(keep)) {
            return error("ema", format!("{keep} is out of range: 0 to below 1, e.g. 0.999"));
        }
        if self.patience.is_some() && self.select_on == SelectedOn::Last {
            let message = "nothing says which epoch is better with `select_on = \"last\"`".into();
            return error("patience", message);
        }
        if !(0.0..1.0).contains(&self.validation_overlap) {
            let message = format!("an overlap of {}; expected 0 to below 1, e.g. 0.25", self.validation_overlap);
            return error("validation_overlap", message);
        }
        Ok(())
    }

    fn precision(&self) -> Precision {
        self.precision
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
        let mut samples = self.samples(&dataset, Split::Train)?;
        if samples.is_empty() {
            let message = "the data set has no training images with masks; look at its `split`, `test_images` and \
                `val_images`";
            return Err(StageError::BadData(message.into()));
        }
        let set_aside = self.set_aside(&mut samples, &dataset)?;
        let validation = self.validation(&dataset, set_aside)?;
        let network = SegmentationNetwork::new(self.network(context, classes.len())?);
        let device = context.open_device(self.precision, self.deterministic)?;
        let mut parameters =
            Parameters::new(DType::F32, &device).with_precision(self.precision).with_recompute(self.recompute);
        network.init(&mut parameters, &Stream::new(context.seed, "model", 0, 0))?;
        self.load_encoder(&parameters, context)?;
        let training = Training {
            epochs: self.epochs.get(),
            optimizer: self.optimizer,
            schedule: self.schedule.clone(),
            accumulate: self.accumulate,
            ema: self.ema,
            checkpoint: context.checkpoint.clone(),
            checkpoint_share: CHECKPOINT_SHARE,
            checkpoint_wait: CHECKPOINT_WAIT,
            fingerprint: fingerprint(self, &dataset.manifest, context)?,
            asked: context.asked.clone(),
            patience: self.patience,
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
        task.check().map_err(StageError::BadData)?;
        let needs = task.memory(self.optimizer)?;
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
            epoch: outcome.best.map_or(self.epochs.get(), |best| best.epoch),
        };
        selection.write(&context.out.join(SELECTION_FILE))?;
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

/// Images and their masks.
type Samples = Vec<(Micrograph, Mask)>;

impl Finetune {
    fn samples(&self, dataset: &OpenDataset, split: Split) -> Result<Samples, StageError> {
        let mut samples = Vec::new();
        for entry in dataset.entries(split) {
            if let (image, Some(mask)) = dataset.read(entry)? {
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
        let count = (samples.len() as f64 * fraction).round() as usize;
        if count == 0 || count == samples.len() {
            return Err(StageError::BadData(format!(
                "val_fraction = {fraction} sets {count} of {} training images aside: one at least must be on either side",
                samples.len()
            )));
        }
        // Not the experiment's seed: what is compared shall be validated on the same images.
        let order = Stream::new(0, "val_fraction", 0, 0).permutation(samples.len());
        let chosen: BTreeSet<usize> = order[..count].iter().copied().collect();
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
            epochs: self.epochs.get(),
            overlap: self.validation_overlap,
            selects: self.select_on != SelectedOn::Last,
        })
    }

    fn network(&self, context: &Context, classes: usize) -> Result<SegmentationConfig, StageError> {
        let encoder = match &self.encoder {
            MaybeInput::Value(encoder) => encoder.config(),
            MaybeInput::Input(_) => {
                let file = context.input("encoder")?.file(ENCODER_FILE)?;
                let config = weights::read_config(file)?.context("the encoder does not say which network it is")?;
                serde_json::from_str::<ResNetConfig>(&config).context("the encoder's description of itself")?
            }
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
            MaybeInput::Input(_) => {
                weights::load(parameters, ENCODER, context.input("encoder")?.file(ENCODER_FILE)?, false)?;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pretrain::tests::{context, parse};
    use super::*;
    use crate::data::{Entry, Manifest};
    use crate::train::History;
    use crate::train::inference::Segmenter;
    use std::collections::BTreeMap;
    use std::path::Path;

    const TOY: &str = "dataset = '<input>'\nencoder = { arch = 'resnet18', width = 4, weights = 'random' }\n\
        decoder_channels = [8, 8, 8, 4, 4]\nepochs = 6\nbatch_size = 3\ncrop_size = 32\ncrops_per_image = 2\n\
        optimizer = { name = 'adam', learning_rate = 0.01 }\n";

    /// Images of 48×40 with a bright band where the mask says 1: two to train on, one each to validate and test.
    fn dataset(folder: &Path, splits: &[Split]) -> Vec<(&'static str, PathBuf)> {
        const NAMES: [[&str; 2]; 4] =
            [["0.png", "0m.png"], ["1.png", "1m.png"], ["2.png", "2m.png"], ["3.png", "3m.png"]];
        let (mut images, mut files) = (Vec::new(), Vec::new());
        for (i, (&split, [image, mask])) in splits.iter().zip(NAMES).enumerate() {
            let mut stream = Stream::new(i as u64, "finetune test", 0, 0);
            let band = |x: u32, y: u32| (x + y) / 12 % 2;
            let pixels = image::GrayImage::from_fn(48, 40, |x, y| {
                image::Luma([(60 + 100 * band(x, y)) as u8 + stream.below(40) as u8])
            });
            let labels = image::GrayImage::from_fn(48, 40, |x, y| image::Luma([band(x, y) as u8]));
            let digest = |name: &str| blake3::hash(&std::fs::read(folder.join(name)).unwrap()).to_hex().to_string();
            pixels.save(folder.join(image)).unwrap();
            labels.save(folder.join(mask)).unwrap();
            images.push(Entry {
                image: image.into(),
                image_digest: digest(image),
                mask: Some(mask.into()),
                mask_digest: Some(digest(mask)),
                width: 48,
                height: 40,
                channels: 1,
                split,
                class_pixels: vec![0, 0],
            });
            files.extend([(image, folder.join(image)), (mask, folder.join(mask))]);
        }
        let manifest = Manifest {
            format: "folder".into(),
            classes: ["dark", "bright"].map(str::to_owned).into(),
            ignore_classes: vec![],
            label_values: BTreeMap::from([(0, 0), (1, 1)]),
            images,
        };
        manifest.write(&folder.join("manifest.json")).unwrap();
        files.push(("manifest.json", folder.join("manifest.json")));
        files
    }

    const ALL: [Split; 4] = [Split::Train, Split::Train, Split::Val, Split::Test];

    /// Model, history, and the epoch that was kept.
    fn run(text: &str, splits: &[Split]) -> Result<(Vec<u8>, String, Option<u64>), StageError> {
        let folder = tempfile::tempdir().unwrap();
        let mut context = context(folder.path(), "dataset", &dataset(folder.path(), splits));
        parse::<Finetune>(text).unwrap().run(&mut context)?;
        let best = context.telemetry.get("best_epoch").and_then(serde_json::Value::as_u64);
        let history = std::fs::read_to_string(context.out.join("history.csv")).unwrap();
        let model = context.out.join("model.safetensors");
        let selection: Selection =
            serde_json::from_slice(&std::fs::read(context.out.join(SELECTION_FILE)).unwrap()).unwrap();
        assert_eq!(selection.on_test(), text.contains("select_on = 'test'"));
        assert!(best.is_none_or(|best| best == selection.epoch));
        assert_eq!(
            Segmenter::load(&model, &candle_core::Device::Cpu).unwrap().config().class_names,
            ["dark", "bright"]
        );
        Ok((std::fs::read(model).unwrap(), history, best))
    }

    #[test]
    fn the_toy_learns_its_classes_the_same_for_any_number_of_threads() {
        let with = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| run(TOY, &ALL)).unwrap()
        };
        let (model, text, best) = with(1);
        assert!(with(2) == (model, text.clone(), best));
        assert!(
            text.starts_with(
                "epoch,step,train_loss,learning_rate,gradient_norm,val_loss,val_miou,iou_dark,iou_bright\n"
            )
        );
        let history = History::from_csv(&text).unwrap();
        let column = |name: &str| history.column(name).unwrap().into_iter().flatten().collect::<Vec<f64>>();
        let (losses, scores) = (column("train_loss"), column("val_miou"));
        assert!(losses[5] < losses[0], "{text}");
        let most = scores.iter().copied().fold(0.0, f64::max);
        assert_eq!(best, scores.iter().position(|&score| score == most).map(|epoch| epoch as u64 + 1));
    }

    #[test]
    fn the_architecture_decides_what_the_model_holds() {
        let folder = tempfile::tempdir().unwrap();
        let mut context = context(folder.path(), "dataset", &dataset(folder.path(), &ALL));
        let text = TOY.replace("epochs = 6", "epochs = 1\narchitecture = 'unet'");
        parse::<Finetune>(&text).unwrap().run(&mut context).unwrap();
        let path = context.out.join("model.safetensors");
        let model = Segmenter::load(&path, &candle_core::Device::Cpu).unwrap();
        assert_eq!(model.config().network.architecture, Architecture::Unet);
        let config = weights::read_config(&path).unwrap().unwrap();
        assert!(config.starts_with(r#"{"network":{"architecture":"unet","encoder":{"#), "{config}");
    }

    #[test]
    fn a_lone_crop_joins_the_batch_before_it_and_is_refused_where_there_is_none() {
        let few = TOY.replace("epochs = 6", "epochs = 1");
        let three = [Split::Train, Split::Train, Split::Train, Split::Val];
        for (batch_size, crops_per_image) in [(2, 1), (3, 1), (2, 3), (4, 1)] {
            let text = few.replace("batch_size = 3", &format!("batch_size = {batch_size}"));
            run(&text.replace("crops_per_image = 2", &format!("crops_per_image = {crops_per_image}")), &three).unwrap();
        }
        let error = run(&few.replace("batch_size = 3", "batch_size = 1"), &three).unwrap_err().to_string();
        assert!(error.starts_with("a batch of one crop of 32 pixels"), "{error}");
        run(&few.replace("batch_size = 3", "batch_size = 1").replace("crop_size = 32", "crop_size = 64"), &three)
            .unwrap();
    }

    #[test]
    fn what_selects_the_epoch_must_be_there() {
        let without = |split: Split| ALL.map(|s| if s == split { Split::Train } else { s });
        let few = TOY.replace("epochs = 6", "epochs = 3\nvalidate_every = 2");
        let error = run(&few, &without(Split::Val)).unwrap_err().to_string();
        assert!(error.starts_with("`select_on = \"val\"` needs validation images"), "{error}");
        assert!(error.contains("give it some (`split = { val = … }` or `val_images`"), "{error}");
        let on_test = format!("{few}select_on = 'test'\n");
        assert!(run(&on_test, &without(Split::Test)).unwrap_err().to_string().contains("needs test images"));
        let (_, history, best) = run(&on_test, &without(Split::Val)).unwrap();
        let validated: Vec<bool> = history.lines().skip(1).map(|line| !line.ends_with(",,,,")).collect();
        assert_eq!(validated, [false, true, true], "every second epoch, and the last: {history}");
        assert!(best.is_some());
        let (_, _, best) = run(&format!("{few}select_on = 'last'\n"), &without(Split::Val)).unwrap();
        assert_eq!(best, None);
        let error = run(&few, &[Split::Val, Split::Val]).unwrap_err().to_string();
        assert!(error.contains("no training images"), "{error}");
    }

    #[test]
    fn a_part_of_the_training_images_may_choose_the_epoch() {
        let unsplit = [Split::Train, Split::Train, Split::Train, Split::Test];
        let few = TOY.replace("epochs = 6", "epochs = 2\nval_fraction = 0.34");
        let (_, history, best) = run(&few, &unsplit).unwrap();
        assert!(best.is_some() && !history.contains(",,"), "{history}");
        let error = run(&few, &ALL).unwrap_err().to_string();
        assert!(error.contains("has validation images of its own: leave out `val_fraction`"), "{error}");
        let error = run(&few.replace("0.34", "0.1"), &unsplit).unwrap_err().to_string();
        assert!(error.contains("sets 0 of 3 training images aside"), "{error}");
    }

    #[test]
    fn averages_and_accumulation_change_what_is_left() {
        let few = TOY.replace("epochs = 6", "epochs = 3").replace("batch_size = 3", "batch_size = 2");
        let (plain, ..) = run(&few, &ALL).unwrap();
        for more in ["ema = 0.9\n", "accumulate = 2\n"] {
            assert!(run(&format!("{few}{more}"), &ALL).unwrap().0 != plain, "{more}");
        }
        // Recomputation is no part of the result, nor of its name.
        assert!(run(&format!("{few}recompute = true\n"), &ALL).unwrap().0 == plain);
    }

    #[test]
    fn parameters_are_read_from_an_input_or_in_place_and_what_is_wrong_is_underlined() {
        let stage = parse::<Finetune>(&TOY.replace("encoder = {", "encoder = '<input>' #")).unwrap();
        assert_eq!(stage.encoder, MaybeInput::Input(Input));
        let json = serde_json::to_value(parse::<Finetune>(TOY).unwrap()).unwrap();
        assert_eq!((json["select_on"].as_str(), json["architecture"].as_str()), (Some("val"), Some("unet++")));
        assert_eq!(serde_json::to_value(serde_json::from_value::<Finetune>(json.clone()).unwrap()).unwrap(), json);
        for (from, to, underlined) in [
            ("'resnet18'", "'resnet19'", "'resnet19'"),
            ("width = 4", "widht = 4", "widht"),
            ("8, 8, 8, 4, 4]", "8, 8, 8, 4]", "[8, 8, 8, 4]"),
            ("epochs = 6", "epochs = 0", "0"),
            ("epochs = 6", "epochs = 6\narchitecture = 'unet+'", "'unet+'"),
        ] {
            let text = TOY.replace(from, to);
            let errors = parse::<Finetune>(&text).unwrap_err();
            let [ParamError::Toml(error)] = &errors[..] else { panic!("{errors:?}") };
            assert_eq!(&text[error.span().unwrap()], underlined, "{error}");
        }
        let eight: Finetune = parse(&TOY.replace("batch_size = 3\n", "")).unwrap();
        assert_eq!(eight.batch_size.get(), 8);
        for (more, param) in [
            ("augment = { crop_size = 3 }", "augment.crop_size"),
            ("validation_overlap = 1.0", "validation_overlap"),
            ("val_fraction = 1.0", "val_fraction"),
            ("ema = 1.0", "ema"),
            ("patience = 3\nselect_on = 'last'", "patience"),
            ("schedule = { name = 'constant', warmup_epochs = 9 }", "schedule"),
        ] {
            let errors = parse::<Finetune>(&format!("{TOY}{more}")).unwrap_err();
            assert!(matches!(&errors[..], [ParamError::Check { param: p, .. }] if *p == param), "{errors:?}");
        }
        for size in ["crop_size = 40", "crop_size = 8192"] {
            let errors = parse::<Finetune>(&TOY.replace("crop_size = 32", size)).unwrap_err();
            assert!(matches!(&errors[..], [ParamError::Check { param: "crop_size", .. }]), "{errors:?}");
        }
    }
}
