//! `evaluate`: predicts one split of a data set with trained models and scores the predictions.

mod ensemble;
mod fractions;
mod further;
mod out_of_fold;
mod part;

use super::Uses;
use super::counts::{counts, cure};
use super::data_set::manifests_of;
use super::device::open_device;
use super::encoder::MODEL;
use super::errors::data_error;
use super::finetune::Finetune;
use super::memory::admit;
use super::outlook::{Outlook, Scores};
use super::{Context, DATASET, Foresight, InputStages, Known, Progress, Stage, StageError, StageKind, open_dataset};
use crate::data::{Entry, IGNORE, Manifest, Micrograph, OpenDataset, Split};
use crate::experiment::{Input, LabelledInput, ParamError, ReferenceSpec};
use crate::metrics::{
    AUTHORS_BATCH, BoundaryDistance, CalibrationMeter, Confusion, Evaluation, Fold, ImageConfusions, ImageScores,
    SelectedOn, SurfaceTolerance,
};
use crate::nn::Precision;
use crate::report;
use crate::train::inference::Prediction;
use ensemble::{Ensemble, Models};
use fractions::FractionTable;
use matssl_predict::engine::Tta;
use matssl_predict::reference::Reference;
use out_of_fold::OutOfFold;
pub(super) use part::Part;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::time::Instant;

/// Evaluates a model, or a cross-validation. Writes `metrics.json`, `per_image.csv`, `confusion.csv` (pixels; rows are the truth,
/// columns the prediction), `per_image_confusion.csv` (the same per image), `fractions.csv` (true and predicted area fraction of
/// each class per image), and the predicted masks `predictions/IMAGE.png` (8 bits, the grey value is the index of the class).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Evaluate {
    /// A fine-tuned model; with `ensemble` several, and with `split = "out-of-fold"` those of all folds.
    model: Input,
    /// The data set to evaluate on.
    dataset: Input,
    /// The images to evaluate on: a split of the data set, or `"out-of-fold"`, the training images of a stage with `folds`.
    #[serde(default = "default_part")]
    split: Part,
    /// Overlap of neighbouring tiles of a large image as a fraction of their side, from 0 to below 1.
    #[serde(default = "default_overlap")]
    overlap: f64,
    /// Batch size, in images, of the mIoU that is a mean over batches (`miou = "batches"` of a table). 128 as in the
    /// authors' code.
    #[serde(default = "default_miou_batch", skip_serializing_if = "is_default_miou_batch")]
    miou_batch: NonZeroUsize,
    /// Whether the models that `model` names predict together, by the mean of their probabilities: `true` for those of each seed (the
    /// folds of a cross-validation, or a list), `"seeds"` for those of all seeds. One evaluation comes out. No temperature is applied to
    /// the mean: `calibration` says how it is.
    #[serde(default, skip_serializing_if = "Ensemble::is_no")]
    ensemble: Ensemble,
    /// Test-time augmentation, the mean of the probabilities over copies of each tile: also mirrored (`"flips"`, 4 copies), or mirrored
    /// and turned (`"full"`, 8 copies). `calibration` is that of the mean, before and after the model's temperature.
    #[serde(default, skip_serializing_if = "Tta::is_none")]
    tta: Tta,
    /// Measures boundary IoU (Cheng et al. 2021) too: the IoU of the pixels within this distance of the border of their class. Below 1 a
    /// share of the image's diagonal (0.02 in the paper), else a number of pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boundary: Option<BoundaryDistance>,
    /// Measures the surface Dice (Nikolov et al. 2018) too: the share of the length of true and predicted borders that lies within this
    /// distance of the other's, in pixels, or a length such as `"0.5 µm"` where the size of the pixels is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    surface_tolerance: Option<SurfaceTolerance>,
    /// Measures the mean of the mIoU of each specimen too, so that each counts the same. Needs a data set with a `group`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    specimens: bool,
}

const DEFAULT_MIOU_BATCH: NonZeroUsize = NonZeroUsize::new(AUTHORS_BATCH).expect("not zero");

fn default_miou_batch() -> NonZeroUsize {
    DEFAULT_MIOU_BATCH
}

/// Whether the default applies. It is left out of the JSON, so that keys do not change.
fn is_default_miou_batch(batch: &NonZeroUsize) -> bool {
    *batch == DEFAULT_MIOU_BATCH
}

fn default_part() -> Part {
    Part::Test
}

pub(super) fn default_overlap() -> f64 {
    0.5
}

impl StageKind for Evaluate {
    const KIND: &'static str = "evaluate";
    const CODE_VERSION: u32 = 7;
    const LEAVES: &'static [&'static str] =
        &[Evaluation::FILE, ImageScores::FILE, Confusion::FILE, ImageConfusions::FILE, FractionTable::FILE];
    const REFERENCES: &'static [ReferenceSpec] = &[
        ReferenceSpec::one(MODEL, &["finetune"]).several_with("ensemble").several_if("split", Part::OUT_OF_FOLD),
        DATASET,
    ];

    fn check(&self) -> Result<(), ParamError> {
        if self.split == Part::Unlabeled {
            let message =
                "unlabeled images have no masks to score against; expected test, val, train or out-of-fold".into();
            return Err(ParamError::Check { param: "split", message });
        }
        if self.split == Part::OutOfFold && !self.ensemble.is_no() {
            let message =
                "has no effect with `split = \"out-of-fold\"`, where one model predicts each image: leave it out";
            return Err(ParamError::Check { param: "ensemble", message: message.into() });
        }
        if !(0.0..1.0).contains(&self.overlap) {
            let message = format!("an overlap of {}; expected 0 to below 1, e.g. 0.5", self.overlap);
            return Err(ParamError::Check { param: "overlap", message });
        }
        if let Some(Err(message)) = self.surface_tolerance.as_ref().map(SurfaceTolerance::check) {
            return Err(ParamError::Check { param: "surface_tolerance", message });
        }
        Ok(())
    }

    fn check_labels(&self, labels: &[LabelledInput<'_>]) -> Result<(), ParamError> {
        if self.split == Part::OutOfFold {
            return Ok(());
        }
        let models = labels.iter().filter(|(param, _)| *param == MODEL).count();
        self.ensemble.check(models).map_err(|message| ParamError::Check { param: "ensemble", message })
    }

    fn settle(self, inputs: &mut InputStages<'_>) -> Result<Self, ParamError> {
        if self.split == Part::OutOfFold {
            let folds = inputs.filter(|input| input.param == MODEL).map(|input| (input.label, fold_of(input.stage)));
            let folds: Vec<_> = folds.collect();
            let checked = if folds.is_empty() { Ok(()) } else { out_of_fold::check_folds(folds) };
            checked.map_err(|message| ParamError::Check { param: MODEL, message })?;
        }
        Ok(self)
    }

    fn gathers_seeds(&self, role: &str) -> bool {
        role == MODEL && self.ensemble == Ensemble::Seeds
    }

    fn computes(&self) -> bool {
        true
    }

    fn uses(&self) -> Uses {
        Uses { scored: vec![("dataset", self.split.split().name())], ..Uses::default() }
    }

    fn reads(&self, role: &str) -> Vec<String> {
        // The baseline is the class that is most frequent in the training images.
        if role == "dataset" { manifests_of([Split::Train, self.split.split()]) } else { Vec::new() }
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let Some((name, manifest)) = Outlook::images(known, "dataset") else { return Foresight::nothing() };
        let mut problems = Vec::new();
        let split = self.split.split();
        match scored(manifest, name, split) {
            Ok(entries) => {
                problems.extend(self.check_known(&entries, name).err());
                if self.split == Part::OutOfFold {
                    problems.extend(out_of_fold::foreseen(known, manifest, &entries, name));
                }
            }
            Err(problem) => problems.push(problem),
        }
        for model in known.inputs(MODEL).filter_map(Outlook::of) {
            let Outlook::Training { classes, in_channels, .. } = model else { continue };
            problems.extend(classes.as_ref().and_then(|classes| check_classes(classes, &manifest.classes).err()));
            let fit = in_channels.map(|in_channels| manifest.check_channels(&[split], true, in_channels));
            problems.extend(fit.and_then(Result::err));
        }
        problems.dedup();
        let models = known.inputs(MODEL).count();
        problems.extend(self.ensemble.check_models(models).err());
        let scores = Scores {
            manifest: manifest.clone(),
            split,
            miou_batch: self.miou_batch.get(),
            further: self.further(),
            models,
        };
        let prospect = if problems.is_empty() { Outlook::Scores(scores).prospect() } else { None };
        Foresight { prospect, problems, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        let name = context.input("dataset")?.label.clone();
        let split = self.split.split();
        let entries = scored(&dataset.manifest, &name, split).map_err(StageError::BadData)?;
        self.check_known(&entries, &name).map_err(StageError::BadData)?;
        self.ensemble.check_models(context.inputs(MODEL).len()).map_err(StageError::BadData)?;
        // Always float32, so that scores do not depend on the precision of the training.
        let device = open_device(context, Precision::Float32, true)?;
        let models = Models::load(context, &device, self.overlap, self.tta)?;
        for (_, config) in models.configs(context) {
            check_classes(&config.class_names, &dataset.manifest.classes).map_err(StageError::BadData)?;
            let in_channels = config.network.encoder.in_channels();
            dataset.manifest.check_channels(&[split], true, in_channels).map_err(StageError::BadData)?;
        }
        let sizes = dataset.entries(split).into_iter().map(|entry| (entry.width, entry.height));
        admit(&models.memory(sizes)?, context)?;
        if self.split == Part::OutOfFold {
            out_of_fold::check_folds(models.configs(context).map(|(label, config)| (label, config.fold)))
                .map_err(StageError::BadData)?;
            let parts = OutOfFold::of(context.inputs(MODEL), &entries, &name)?;
            let about = About { selected_on: models.selected_on(), ..About::default() };
            return self.evaluate(context, &dataset, &about, |entry, image| {
                Ok(models.predict_by(parts.model(entry, image, &name)?, image)?)
            });
        }
        let about = About {
            selected_on: models.selected_on(),
            reference: models.reference.as_ref(),
            fold: models.fold(),
            models: models.several(),
        };
        self.evaluate(context, &dataset, &about, |_, image| Ok(models.predict(image)?))
    }
}

/// The fold of a `finetune` stage, if it has one.
fn fold_of(stage: &dyn Stage) -> Option<Fold> {
    stage.as_any().downcast_ref::<Finetune>()?.fold()
}

/// What is known of the models.
#[derive(Default)]
struct About<'a> {
    /// How the epochs were chosen.
    selected_on: SelectedOn,
    /// Of a single model: its temperature, and its errors on the validation images.
    reference: Option<&'a Reference>,
    /// Of a single model: the fold that it was trained in.
    fold: Option<Fold>,
    /// Their number, if they are several.
    models: Option<usize>,
}

/// Checks that the model and the data set have the same classes, because outputs are indices of classes.
///
/// # Errors
/// One line with both lists.
fn check_classes(model: &[String], dataset: &[String]) -> Result<(), String> {
    if model == dataset {
        return Ok(());
    }
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(format!(
        "the model was trained on the classes {}, but the data set has {}; expected the same names in the same order",
        list(model),
        list(dataset)
    ))
}

/// The images of `split`, each of which must have a mask.
///
/// # Errors
/// One line with the counts and the cure, if there is no such image, or one without a mask.
fn scored<'m>(manifest: &'m Manifest, name: &str, split: Split) -> Result<Vec<&'m Entry>, String> {
    let entries = manifest.entries(split);
    if entries.is_empty() {
        return Err(format!(
            "data set {name} has no {} images, and `evaluate` scores them{}: {}, or set another `split` here",
            split.name(),
            counts(manifest),
            cure(manifest, name, split)
        ));
    }
    match entries.iter().find(|entry| entry.mask.is_none()) {
        Some(entry) => Err(format!(
            "{} of data set {name} has no mask to score against: add its mask, or move it to another split",
            entry.image
        )),
        None => Ok(entries),
    }
}

impl Evaluate {
    /// Predicts and scores each image, and writes the results.
    fn evaluate(
        &self,
        context: &mut Context,
        dataset: &OpenDataset,
        about: &About<'_>,
        mut predict: impl FnMut(&Entry, &Micrograph) -> Result<Prediction, StageError>,
    ) -> Result<(), StageError> {
        let (manifest, split, reference) = (&dataset.manifest, self.split.split(), about.reference);
        let entries = dataset.entries(split);
        std::fs::create_dir(context.out.join("predictions"))?;
        let mut confusion = Confusion::new(manifest.classes.len());
        let mut images = Vec::new();
        let mut matrices = Vec::new();
        let mut fractions = FractionTable::new(&manifest.classes);
        // Several models have no temperature: their mean is scored as it is. Those of folds were fitted on the images that are scored.
        let has_several = about.models.is_some() || self.split == Part::OutOfFold;
        let mut calibration = (reference.is_some() || has_several).then(|| {
            let calibration = reference.and_then(|reference| reference.calibration.as_ref());
            let temperature = calibration.map_or(1.0, |calibration| calibration.temperature);
            CalibrationMeter::new(manifest.classes.len(), Some(IGNORE), temperature)
        });
        let mut meters = self.meters(manifest.classes.len());
        let started = Instant::now();
        for (entry, name) in entries.iter().zip(prediction_files(&entries)) {
            let (image, truth) = dataset.read(entry).map_err(data_error)?;
            let truth =
                truth.ok_or_else(|| StageError::BadData(format!("{} has no mask to score against", entry.image)))?;
            let Prediction { mask: prediction, probabilities } = predict(entry, &image)?;
            let mut own = Confusion::new(manifest.classes.len());
            own.add(&truth.labels, &prediction.labels, Some(IGNORE))
                .map_err(|error| StageError::BadData(format!("{}: {error}", entry.image)))?;
            let picture = report::png_grey(&prediction.labels, prediction.width, prediction.height)?;
            std::fs::write(context.out.join("predictions").join(name), picture)?;
            if let Some(calibration) = &mut calibration {
                calibration.add(&probabilities, &truth.labels);
            }
            drop(probabilities);
            fractions.add(&entry.image, &truth, &prediction, reference);
            meters.add(entry, &truth, &prediction)?;
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
            self.split.name(),
            images.len(),
            about.selected_on,
        )
        .with_images(&matrices, self.miou_batch.get());
        let evaluation = meters.finish(evaluation, manifest, &entries, &matrices);
        let copies = self.tta.symmetries().len();
        let evaluation = Evaluation {
            calibration: calibration.and_then(CalibrationMeter::finish),
            fold: about.fold,
            models: about.models,
            copies: (copies > 1).then_some(copies),
            train_images: reference.filter(|_| about.models.is_none()).map(|reference| reference.training.len()),
            ..evaluation
        };
        evaluation.write(&context.out).map_err(StageError::failed)?;
        ImageScores::write_all(&context.out, &manifest.classes, &images).map_err(StageError::failed)?;
        confusion.write(&context.out, &manifest.classes).map_err(StageError::failed)?;
        let names = images.into_iter().map(|scores| scores.image);
        let of_images = ImageConfusions(names.zip(matrices).collect());
        of_images.write(&context.out, &manifest.classes).map_err(StageError::failed)?;
        fractions.write(&context.out)?;
        Ok(())
    }
}

/// The file name of each prediction in `predictions/`: the stem of the image or, if two images share a stem (`a/1.png`
/// and `b/1.png`), its path with `__` for `/`, including the extension.
pub(crate) fn prediction_files(entries: &[&Entry]) -> Vec<String> {
    let name = |entry: &Entry| {
        // Ignores case, as some file systems do.
        let twins = entries.iter().filter(|other| other.stem().eq_ignore_ascii_case(entry.stem())).count();
        if twins > 1 { format!("{}.png", entry.image.replace('/', "__")) } else { format!("{}.png", entry.stem()) }
    };
    entries.iter().map(|entry| name(entry)).collect()
}

#[cfg(test)]
pub(super) mod tests;
