//! The fine-tuning task of the training loop.

use crate::data::augment::{FinetuneAugment, normalization};
use crate::data::loader::{RareCrops, prefetch};
use crate::data::{IGNORE, Mask, Micrograph, RGB};
use crate::machine;
use crate::metrics::{CalibrationSample, Confusion};
use crate::nn::losses::{LossGradient, LossSpec};
use crate::nn::{Encoder, Images, Mode, Parameters, SegmentationNetwork, Tape, Value};
use crate::random::Stream;
use crate::ssl::ENCODER;
use crate::train::inference::{self, predict};
use crate::train::memory::{Needs, Work, parameter_bytes, prediction_activations, training_activations};
use crate::train::{Batches, EpochEnd, OptimizerSpec, Step, Task};
use anyhow::Result;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A segmentation network in training.
pub(super) struct Segmentation {
    pub(super) parameters: Parameters,
    pub(super) network: SegmentationNetwork,
    /// Factors of the learning rate by parameter; 1 for all others.
    pub(super) rate_factors: BTreeMap<String, f64>,
    /// Number of epochs at the start in which the encoder stays as it is.
    pub(super) freeze_epochs: u64,
    pub(super) loss: LossSpec,
    /// Weight of each class in the loss; `None`: the loss as it is.
    pub(super) class_weights: Option<Vec<f64>>,
    pub(super) samples: Arc<Vec<(Micrograph, Mask)>>,
    /// Includes `crop_size`.
    pub(super) augment: FinetuneAugment,
    /// Crops that hold a pixel of a rare class, if there are any.
    pub(super) rare: Option<Arc<RareCrops>>,
    pub(super) batch_size: usize,
    /// Number of crops of all images together in an epoch.
    pub(super) crops_per_epoch: usize,
    pub(super) seed: u64,
    pub(super) class_names: Vec<String>,
    pub(super) validation: Validation,
}

/// Crops and their masks.
pub(super) struct Crops {
    images: Images,
    /// On the CPU, where the losses read them.
    masks: Tensor,
    /// Where the network draws from, if it drops paths at random.
    stream: Stream,
    epoch: u64,
}

/// The validation: whole images, predicted in overlapping tiles.
pub(super) struct Validation {
    /// If empty, there is no validation.
    pub(super) samples: Vec<(Micrograph, Mask)>,
    /// Classes that the mean IoU leaves out.
    pub(super) ignore_classes: Vec<u8>,
    /// Epochs from one validation to the next. The last epoch is always validated.
    pub(super) every: u64,
    /// Number of epochs of the training.
    pub(super) epochs: u64,
    /// Overlap of neighbouring tiles, as a fraction of their side.
    pub(super) overlap: f64,
    /// Whether the validation chooses the epoch that is kept.
    pub(super) selects: bool,
}

/// The side of a crop, in pixels, whose map at the encoder's last stage is a single pixel.
const ONE_PIXEL: usize = 32;

/// Checks that batch norm has a variance in every batch of an epoch of `crops`, of `size` pixels each.
///
/// # Errors
/// One line with the remedy.
pub(super) fn check_batches(crops: usize, batch_size: usize, size: usize) -> Result<(), String> {
    if size == ONE_PIXEL && ranges(crops, batch_size, size).any(|batch| batch.len() == 1) {
        return Err(format!(
            "a batch of one crop of {ONE_PIXEL} pixels has no variance for batch norm: choose a larger `crop_size`, or a \
             `batch_size` (and `crops_per_image`) of at least 2"
        ));
    }
    Ok(())
}

/// The crops of each batch, as indices in an epoch of `crops`. A short last batch is kept. But a single crop that is one
/// pixel at the encoder's last stage has no variance for batch norm, and joins the previous batch.
fn ranges(crops: usize, batch_size: usize, size: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let single = size == ONE_PIXEL && crops > batch_size && crops % batch_size == 1 && batch_size > 1;
    let batches = if single { crops / batch_size } else { crops.div_ceil(batch_size) };
    (0..batches)
        .map(move |batch| batch * batch_size..if batch + 1 == batches { crops } else { (batch + 1) * batch_size })
}

impl Segmentation {
    /// Columns of the history that depend on the task.
    pub(super) fn columns(classes: &[String]) -> impl Iterator<Item = String> {
        let classes = classes.iter().map(|class| format!("iou_{class}"));
        [<Self as Task>::LOSS, "val_loss", "val_miou"].into_iter().map(str::to_owned).chain(classes)
    }

    /// The crops of each batch, as indices in an epoch.
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        ranges(self.crops_per_epoch, self.batch_size, self.crop_size())
    }

    /// Estimates the peak memory of the training, including validation.
    ///
    /// # Errors
    /// If the crops do not fit the network.
    pub(super) fn memory(&self, optimizer: OptimizerSpec) -> Result<Needs> {
        let held = machine::held_memory();
        // Before the images are known, batches are taken to be full.
        let crops = Some(self.crops_per_epoch).filter(|crops| *crops > 0);
        let (batch_size, size) = (self.batch_size.min(crops.unwrap_or(usize::MAX)), self.crop_size());
        let in_channels = self.in_channels();
        let shape = [batch_size, size, size, in_channels];
        let pass = crate::nn::footprint(&self.parameters, shape, |tape, x| self.network.forward(tape, x))?;
        // A frozen encoder's pass comes before, and nothing of it is kept but its output.
        let frozen = if self.parameters.is_frozen(&format!("{ENCODER}.")) {
            let encoder = Encoder::new(self.network.config().encoder.clone());
            let pass = |tape: &Tape<'_>, x: &Value| encoder.deepest(tape, ENCODER, x);
            prediction_activations(crate::nn::prediction_footprint(&self.parameters, shape, pass)?)
        } else {
            0
        };
        let (parameters, trainable) = parameter_bytes(&self.parameters);
        let gpu = !self.parameters.device().is_cpu();
        // Bytes of a pixel and its class: float32 as the network reads it or, if a GPU normalises, as it is transferred.
        let pixel = match (gpu && in_channels == RGB, self.augment.keeps_values()) {
            (false, _) => in_channels * 4 + 1,
            (true, false) => self.channels() * 4 + 1,
            (true, true) => self.channels() + 1,
        };
        let validation = &self.validation;
        let between_steps = if validation.samples.is_empty() {
            0
        } else {
            let images = validation.samples.iter().map(|(image, _)| (image.width, image.height));
            let prediction = inference::memory(&self.network, &self.parameters, size, validation.overlap, images)?;
            // After the last epoch the temperature is fitted on a sample of the validation images' pixels.
            prediction.activations + CalibrationSample::most_bytes(self.class_names.len())
        };
        Ok(Needs {
            work: Work::Finetuning,
            gpu,
            recomputes: self.parameters.recomputes(),
            batch_size: batch_size as u64,
            size,
            loaded: held.saturating_sub(parameters),
            parameters,
            trainable,
            optimizer: Some(optimizer),
            accumulates: false,
            averages: false,
            keeps_best: validation.selects,
            batch: (pixel * batch_size * size * size) as u64,
            activations: training_activations(pass, 1).max(frozen),
            between_steps,
        })
    }

    /// Side of a crop in pixels.
    pub(super) fn crop_size(&self) -> usize {
        self.augment.crop_size.unwrap_or_default()
    }

    fn in_channels(&self) -> usize {
        self.network.config().encoder.in_channels()
    }

    /// Number of channels of a batch that a GPU normalises: 3 if any image has colours.
    fn channels(&self) -> usize {
        self.samples.iter().map(|(image, _)| image.channels).max().unwrap_or(1)
    }

    /// The loss of `logits` `[batch, height, width, classes]` for `masks` `[batch, height, width]`.
    fn loss_of(&self, logits: &Tensor, masks: &Tensor) -> candle_core::Result<LossGradient> {
        self.loss.of(logits, masks, Some(IGNORE), self.class_weights.as_deref())
    }

    /// The classes that do not count in the validation mIoU of `confusion`: those that the data set ignores, and those that no
    /// validation image has. The IoU of one of these is 0 as soon as a single pixel is predicted so, and the epoch chosen would be
    /// one that never predicts it.
    fn uncounted(&self, confusion: &Confusion) -> Vec<u8> {
        let ignored = &self.validation.ignore_classes;
        let absent = (0..=u8::MAX).zip(0..confusion.classes()).filter(|(_, class)| confusion.truth(*class) == 0);
        ignored.iter().copied().chain(absent.map(|(class, _)| class)).collect()
    }

    /// The validation loss and the confusion matrix. The loss is the mean over the images, each from its stitched
    /// probabilities; the matrix is the sum over all images.
    fn validate(&self) -> Result<(f64, Confusion)> {
        let (tile, classes) = (self.crop_size(), self.class_names.len());
        let (mut losses, mut confusion) = (0.0, Confusion::new(classes));
        for (image, truth) in &self.validation.samples {
            let predicted = predict(&self.network, &self.parameters, image, tile, self.validation.overlap)?;
            confusion.add(&truth.labels, &predicted.mask.labels, Some(IGNORE))?;
            // The logarithms of probabilities are logits of the same probabilities.
            let logits = predicted.probabilities.into_iter().map(|p| p.max(f32::MIN_POSITIVE).ln()).collect();
            let logits = Tensor::from_vec(logits, (1, image.height, image.width, classes), &Device::Cpu)?;
            let labels = Tensor::from_slice(&truth.labels, (1, image.height, image.width), &Device::Cpu)?;
            losses += self.loss_of(&logits, &labels)?.loss;
        }
        Ok((losses / self.validation.samples.len() as f64, confusion))
    }
}

impl Task for Segmentation {
    type Batch = Crops;
    const LOSS: &'static str = "train_loss";

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn rate_factors(&self) -> BTreeMap<String, f64> {
        self.rate_factors.clone()
    }

    fn steps_per_epoch(&self) -> u64 {
        self.ranges().count() as u64
    }

    /// Crops are drawn in rounds over the images, each with its own order and crops. An epoch need not end with a round.
    fn batches(&self, epoch: u64, from: u64) -> Result<Box<dyn Iterator<Item = Result<Crops>>>> {
        let (images, crops, seed) = (self.samples.len(), self.crops_per_epoch, self.seed);
        let (first, images_u64) = (epoch * crops as u64, images as u64);
        let order: Vec<(u64, usize)> = (first / images_u64..)
            .flat_map(|round| {
                let order = Stream::new(seed, "order", round, 0).permutation(images);
                order.into_iter().map(move |image| (round, image))
            })
            .skip((first % images_u64) as usize)
            .take(crops)
            .collect();
        let (samples, augment, rare) = (self.samples.clone(), self.augment.clone(), self.rare.clone());
        let batches: Vec<Range<usize>> = self.ranges().skip(from as usize).collect();
        let (steps, channels, size) = (batches.len(), self.channels(), self.crop_size());
        let maker = Batches::on(self.parameters.device(), self.in_channels())?;
        let make = move |step: usize| {
            let drawn = &order[batches[step].clone()];
            let (images, masks) = maker.pairs(&samples, drawn, (&augment, rare.as_deref()), seed, (size, channels))?;
            Ok(Crops { images, masks, stream: Stream::new(seed, "drop path", epoch, from + step as u64), epoch })
        };
        // In the step's thread, so that a late copy counts as waiting for data.
        Ok(Box::new(prefetch(steps, make)?.map(|batch: Result<Crops>| {
            let batch = batch?;
            Ok(Crops { images: batch.images.arrived()?, ..batch })
        })))
    }

    fn step(&mut self, batch: Crops) -> Result<Step> {
        let images = batch.masks.dim(0)? as u64;
        if self.freeze_epochs > 0 {
            let is_frozen = batch.epoch < self.freeze_epochs;
            self.parameters.set_frozen(is_frozen.then_some(self.network.encoder_prefix()));
        }
        let pixels = batch.images.normalized(&self.parameters, normalization())?;
        let tape = Tape::new(&self.parameters, Mode::Train).with_stream(batch.stream);
        let logits = self.network.forward(&tape, &tape.input(&pixels)?)?;
        let loss = self.loss_of(logits.tensor(), &batch.masks)?;
        let gradients = tape.backward(vec![(logits, loss.gradient)])?;
        Ok(Step { loss: loss.loss, gradients, measures: Vec::new(), images, fault: None })
    }

    fn measures(&self) -> Vec<String> {
        Vec::new()
    }

    fn columns(&self) -> Vec<String> {
        Segmentation::columns(&self.class_names).skip(1).collect()
    }

    fn end_of_epoch(&mut self, epoch: u64) -> Result<EpochEnd> {
        let classes = self.class_names.len();
        let due = (epoch + 1).is_multiple_of(self.validation.every) || epoch + 1 == self.validation.epochs;
        if !due || self.validation.samples.is_empty() {
            return Ok(EpochEnd { values: vec![None; 2 + classes], ..EpochEnd::default() });
        }
        let (loss, confusion) = self.validate()?;
        let miou = confusion.miou(&self.uncounted(&confusion));
        let ious = (0..classes).map(|class| confusion.iou(class));
        Ok(EpochEnd {
            values: [Some(loss), miou].into_iter().chain(ious).collect(),
            score: miou.filter(|_| self.validation.selects),
            note: miou.map(|miou| format!("val mIoU {miou:.3}")),
        })
    }
}

#[cfg(test)]
mod tests;
