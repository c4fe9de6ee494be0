//! `evaluate`: a trained model's predictions on one split of a data set, and what they are worth.

use super::Uses;
use super::artifacts::ModelFile;
use super::device::open_device;
use super::errors::data_error;
use super::memory::admit;
use super::{Context, DATASET, Progress, StageError, StageKind, open_dataset};
use crate::data::{Entry, IGNORE, Mask, Micrograph, OpenDataset, Split};
use crate::experiment::{Input, ParamError, ReferenceSpec};
use crate::metrics::{AUTHORS_BATCH, Confusion, Evaluation, ImageConfusions, ImageScores, SelectedOn};
use crate::nn::Precision;
use crate::report;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::time::Instant;

/// Leaves `metrics.json`, `per_image.csv`, `confusion.csv` (pixels; truth down, prediction across), the same of each
/// image in `per_image_confusion.csv`, and the predicted masks `predictions/IMAGE.png` (8 bits, the class's index as grey
/// value).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Evaluate {
    /// A fine-tuned model.
    model: Input,
    /// What it is tried on.
    dataset: Input,
    /// Which of its images.
    #[serde(default = "default_split")]
    split: Split,
    /// The part of its side by which a tile of a large image overlaps the next, from 0 to below 1.
    #[serde(default = "default_overlap")]
    overlap: f64,
    /// Images in a batch of the mIoU that is a mean over batches (`miou = "batches"` of a table); 128 as in the authors'
    /// code.
    #[serde(default = "default_miou_batch", skip_serializing_if = "is_default_miou_batch")]
    miou_batch: NonZeroUsize,
}

const DEFAULT_MIOU_BATCH: NonZeroUsize = NonZeroUsize::new(AUTHORS_BATCH).expect("not zero");

fn default_miou_batch() -> NonZeroUsize {
    DEFAULT_MIOU_BATCH
}

/// Left out of the JSON, so that keys are what they were before there was a choice.
fn is_default_miou_batch(batch: &NonZeroUsize) -> bool {
    *batch == DEFAULT_MIOU_BATCH
}

fn default_split() -> Split {
    Split::Test
}

fn default_overlap() -> f64 {
    0.5
}

impl StageKind for Evaluate {
    const KIND: &'static str = "evaluate";
    const CODE_VERSION: u32 = 5;
    const LEAVES: &'static [&'static str] =
        &[Evaluation::FILE, ImageScores::FILE, Confusion::FILE, ImageConfusions::FILE];
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::one("model", &["finetune"]), DATASET];

    fn check(&self) -> Result<(), ParamError> {
        if self.split == Split::Unlabeled {
            let message = "unlabeled images have no masks to score against; expected test, val or train".into();
            return Err(ParamError::Check { param: "split", message });
        }
        if !(0.0..1.0).contains(&self.overlap) {
            let message = format!("an overlap of {}; expected 0 to below 1, e.g. 0.5", self.overlap);
            return Err(ParamError::Check { param: "overlap", message });
        }
        Ok(())
    }

    fn computes(&self) -> bool {
        true
    }

    fn uses(&self) -> Uses {
        Uses { scored: vec![("dataset", self.split.name())], ..Uses::default() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        // In float32 whatever the model was trained with: what is scored is the model, not its arithmetic.
        let device = open_device(context, Precision::Float32, true)?;
        let segmenter = ModelFile::load(context.input("model")?, &device)?;
        check_classes(&segmenter.config().class_names, &dataset.manifest.classes)?;
        let (tile, selected_on) = (segmenter.config().crop_size, segmenter.config().selected_on);
        let sizes = dataset.entries(self.split).into_iter().map(|entry| (entry.width, entry.height));
        admit(&segmenter.memory(tile, self.overlap, sizes)?, context)?;
        let predict = |image: &Micrograph| Ok(segmenter.predict(image, tile, self.overlap)?);
        evaluate(context, &dataset, self.split, selected_on, self.miou_batch, predict)
    }
}

/// A model's outputs mean nothing on a data set with other classes.
fn check_classes(model: &[String], dataset: &[String]) -> Result<(), StageError> {
    if model == dataset {
        return Ok(());
    }
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(StageError::BadData(format!(
        "the model was trained on the classes {}, but the data set has {}; expected the same names in the same order",
        list(model),
        list(dataset)
    )))
}

/// Predicts, scores and writes, image by image.
fn evaluate(
    context: &mut Context,
    dataset: &OpenDataset,
    split: Split,
    selected_on: SelectedOn,
    miou_batch: NonZeroUsize,
    mut predict: impl FnMut(&Micrograph) -> Result<Mask, StageError>,
) -> Result<(), StageError> {
    let manifest = &dataset.manifest;
    let entries = dataset.entries(split);
    if entries.is_empty() {
        let counts = [Split::Train, Split::Val, Split::Test, Split::Unlabeled]
            .map(|split| format!("{} {}", dataset.entries(split).len(), split.name()));
        let message = format!("the data set has no {} images to evaluate on ({})", split.name(), counts.join(", "));
        return Err(StageError::BadData(message));
    }
    std::fs::create_dir(context.out.join("predictions"))?;
    let mut confusion = Confusion::new(manifest.classes.len());
    let mut images = Vec::new();
    let mut matrices = Vec::new();
    let started = Instant::now();
    for (entry, name) in entries.iter().zip(prediction_files(&entries)) {
        let (image, truth) = dataset.read(entry).map_err(data_error)?;
        let truth =
            truth.ok_or_else(|| StageError::BadData(format!("{} has no mask to score against", entry.image)))?;
        let prediction = predict(&image)?;
        let mut own = Confusion::new(manifest.classes.len());
        own.add(&truth.labels, &prediction.labels, Some(IGNORE))
            .map_err(|error| StageError::BadData(format!("{}: {error}", entry.image)))?;
        let picture = report::png_grey(&prediction.labels, prediction.width, prediction.height)?;
        std::fs::write(context.out.join("predictions").join(name), picture)?;
        confusion.merge(&own);
        images.push(ImageScores::new(&entry.image, &own, &manifest.ignore_classes));
        matrices.push(own);
        let (done, total) = (images.len() as u64, entries.len() as u64);
        context.progress(Progress { done, total, unit: "image".into(), ..Progress::default() });
    }
    context.telemetry.insert("images".into(), images.len().into());
    let images_per_second = images.len() as f64 / started.elapsed().as_secs_f64().max(1e-9);
    context.telemetry.insert("images_per_second".into(), images_per_second.into());

    let train_class_pixels = manifest.class_pixels(Split::Train);
    let evaluation = Evaluation::new(
        &confusion,
        &manifest.classes,
        &manifest.ignore_classes,
        &train_class_pixels,
        split.name(),
        images.len(),
        selected_on,
    )
    .with_images(&matrices, miou_batch.get());
    evaluation.write(&context.out).map_err(StageError::failed)?;
    ImageScores::write_all(&context.out, &manifest.classes, &images).map_err(StageError::failed)?;
    confusion.write(&context.out, &manifest.classes).map_err(StageError::failed)?;
    let names = images.into_iter().map(|scores| scores.image);
    let of_images = ImageConfusions(names.zip(matrices).collect());
    of_images.write(&context.out, &manifest.classes).map_err(StageError::failed)?;
    Ok(())
}

/// The file name of each image's prediction inside `predictions/`: its stem, or where two images share one (`a/1.png`
/// and `b/1.png`) its whole path with `__` for `/`, extension included.
pub(super) fn prediction_files(entries: &[&Entry]) -> Vec<String> {
    let name = |entry: &Entry| {
        // Blind to case, as some file systems are.
        let twins = entries.iter().filter(|other| other.stem().eq_ignore_ascii_case(entry.stem())).count();
        if twins > 1 { format!("{}.png", entry.image.replace('/', "__")) } else { format!("{}.png", entry.stem()) }
    };
    entries.iter().map(|entry| name(entry)).collect()
}

#[cfg(test)]
pub(super) mod tests;
