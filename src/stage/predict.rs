//! `predict`: predicts the images of a data set with trained models, as the verb `predict` does with files.

mod models;

use super::artifacts::{ModelFile, ReferenceFile};
use super::data_set::manifests_of;
use super::device::open_device;
use super::errors::data_error;
use super::memory::admit;
use super::outlook::Outlook;
use super::{Context, DATASET, Foresight, Known, StageError, StageKind, open_dataset};
use crate::data::{Entry, Manifest, OpenDataset, Split};
use crate::experiment::{Input, ParamError, ReferenceSpec};
use crate::nn::Precision;
use matssl_predict::apply::{Apply, InMemory, Item, Opened, Outcome};
use matssl_predict::engine::{Ensemble, PredictOptions, Tta};
use matssl_predict::output::{ImageFiles, MaskFormat, OutputOptions};
use matssl_predict::results::{Field, Results, ResultsFolder};
use models::TemporaryModels;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::time::Instant;

/// Predicts images, with or without masks. Writes `masks/IMAGE.png` (8 bits, the value of a pixel is the index of its class, with
/// the classes' colours as palette), `fractions.csv` (area fractions and other measures by image and class) and `summary.csv`
/// (the same by specimen).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Predict {
    /// Fine-tuned models. Several predict together, by the mean of their probabilities.
    model: Input,
    /// The data set to predict. Its masks are not looked at. Its images are cropped as this data set says (`crop`, `window`, its
    /// format's own band), and not as those were that the model was trained on.
    dataset: Input,
    /// The split to predict; without it all images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
    /// Side of a tile in pixels, a multiple of 32; without it the `crop_size` of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tile: Option<NonZeroUsize>,
    /// Overlap of neighbouring tiles as a fraction of their side, from 0 to below 1.
    #[serde(default = "default_overlap")]
    overlap: f64,
    /// Test-time augmentation: also mirrored (`"flips"`, 4 copies of each tile), or mirrored and turned (`"full"`, 8 copies).
    #[serde(default, skip_serializing_if = "Tta::is_none")]
    tta: Tta,
    /// Names of classes whose objects are measured: number, size, shape, distance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    objects: Vec<String>,
}

fn default_overlap() -> f64 {
    0.5
}

/// A network halves the size five times.
const STEP: usize = 32;
/// Largest side of a tile, as of a crop in a training.
const MOST_TILE: usize = 4096;

impl StageKind for Predict {
    const KIND: &'static str = "predict";
    const CODE_VERSION: u32 = 1;
    const LEAVES: &'static [&'static str] = &[ResultsFolder::FRACTIONS, ResultsFolder::SUMMARY];
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many("model", &["finetune"]), DATASET];

    fn check(&self) -> Result<(), ParamError> {
        if let Some(tile) = self.tile.map(NonZeroUsize::get).filter(|&tile| tile > MOST_TILE) {
            let message = format!("a tile of {tile} pixels; expected a multiple of {STEP} up to {MOST_TILE}");
            return Err(ParamError::Check { param: "tile", message });
        }
        if let Some(tile) = self.tile.map(NonZeroUsize::get).filter(|tile| tile % STEP != 0) {
            let below = (tile / STEP * STEP).max(STEP);
            let message = format!("a tile of {tile} pixels; expected a multiple of {STEP}, e.g. {below}");
            return Err(ParamError::Check { param: "tile", message });
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

    fn reads(&self, role: &str) -> Vec<String> {
        match role {
            "dataset" => manifests_of(self.splits()),
            _ => vec![ModelFile::FILE.to_owned(), ReferenceFile::FILE.to_owned()],
        }
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let mut problems = Vec::new();
        let images = Outlook::images(known, "dataset");
        if let Some((name, manifest)) = images {
            problems.extend(self.entries(manifest, name).err());
        }
        let mut first: Option<(&str, &Vec<String>)> = None;
        for input in known.inputs("model") {
            let Some(Outlook::Training { classes, in_channels, .. }) = Outlook::of(input) else { continue };
            if let (Some((_, manifest)), Some(in_channels)) = (images, in_channels) {
                problems.extend(manifest.check_channels(&self.splits(), false, *in_channels).err());
            }
            let Some(classes) = classes else { continue };
            problems.extend(class_indices(&self.objects, classes).err());
            match first {
                None => first = Some((input.label, classes)),
                Some((label, others)) if others != classes => {
                    problems
                        .push(format!("{label} and {} have other classes: they cannot predict together", input.label));
                }
                Some(_) => {}
            }
        }
        problems.dedup();
        Foresight { problems, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        let name = context.input("dataset")?.label.clone();
        let entries = self.entries(&dataset.manifest, &name).map_err(StageError::BadData)?;
        let device = open_device(context, Precision::Float32, true)?;
        let models = TemporaryModels::make(context.inputs("model"), self.overlap)?;
        let ensemble = Ensemble::load(models.folders.clone(), &device).map_err(StageError::failed)?;
        let sizes = entries.iter().map(|entry| ((entry.width, entry.height), entry.pixel_size));
        admit(&ensemble.memory(sizes, &self.options())?, context)?;
        self.predict(context, &dataset, &entries, &ensemble)
    }
}

/// The indices of the classes `names`.
fn class_indices(names: &[String], classes: &[String]) -> Result<Vec<u8>, String> {
    let index = |name: &String| {
        let found = classes.iter().position(|class| class == name).and_then(|index| u8::try_from(index).ok());
        found.ok_or_else(|| format!("`objects` names {name}, but the model has the classes {}", classes.join(", ")))
    };
    names.iter().map(index).collect()
}

impl Predict {
    fn options(&self) -> PredictOptions {
        let tile = self.tile.map(NonZeroUsize::get);
        PredictOptions { tile, overlap: Some(self.overlap), tta: self.tta, batch: None }
    }

    fn splits(&self) -> Vec<Split> {
        self.split.map_or_else(|| Split::ALL.to_vec(), |split| vec![split])
    }

    /// The images that are predicted, by path.
    fn entries<'m>(&self, manifest: &'m Manifest, name: &str) -> Result<Vec<&'m Entry>, String> {
        let mut entries: Vec<&Entry> = self.splits().into_iter().flat_map(|split| manifest.entries(split)).collect();
        entries.sort_by(|a, b| a.image.cmp(&b.image));
        let which = self.split.map_or(String::new(), |split| format!("{} ", split.name()));
        if entries.is_empty() {
            return Err(format!("data set {name} has no {which}images to predict: set another `split`"));
        }
        Ok(entries)
    }

    fn predict(
        &self,
        context: &mut Context,
        dataset: &OpenDataset,
        entries: &[&Entry],
        ensemble: &Ensemble,
    ) -> Result<(), StageError> {
        let classes: Vec<String> =
            ensemble.models()[0].description.classes.iter().map(|class| class.name.clone()).collect();
        let in_channels = ensemble.models()[0].description.network.encoder.in_channels();
        dataset.manifest.check_channels(&self.splits(), false, in_channels).map_err(StageError::BadData)?;
        let objects = class_indices(&self.objects, &classes).map_err(StageError::BadData)?;
        let outputs = OutputOptions { format: MaskFormat::Png, objects, ..OutputOptions::default() };
        let names: Vec<&str> = entries.iter().map(|entry| entry.image.as_str()).collect();
        let item = |(image, stem): (&&str, String)| Item {
            image: (*image).to_owned(),
            shown: (*image).to_owned(),
            files: ImageFiles::new(&stem, &outputs, ensemble.models().len()),
        };
        let items: Vec<Item> = names.iter().zip(ImageFiles::stems(&names)).map(item).collect();
        let options = self.options();
        // Removed before the end: the folder then holds the output only.
        let work = tempfile::tempdir_in(&context.out)?;
        let started = Instant::now();
        let (root, total) = (context.out.clone(), items.len());
        let apply = Apply {
            ensemble,
            predict: &options,
            outputs: &outputs,
            root: &root,
            work: work.path(),
            room: None,
            rows: &|_, _| {},
            stop: &|| false,
        };
        let open = |index: usize| {
            let image = dataset.read_image(entries[index])?;
            Ok(Opened::Image { rows: Box::new(InMemory(image)), pixel_size: entries[index].pixel_size })
        };
        let outcomes = {
            let progress = context.image_counter();
            apply.all(&items, &open, &|index, _| {
                progress(index + 1, total);
                Ok(())
            })
        };
        work.close()?;
        let outcomes = outcomes.map_err(|error| match error.downcast() {
            Ok(error) => data_error(error),
            Err(error) => StageError::failed(error),
        })?;
        context.telemetry.insert("images".into(), total.into());
        let per_second = total as f64 / started.elapsed().as_secs_f64().max(1e-9);
        context.telemetry.insert("images_per_second".into(), per_second.into());
        let mut fields = Vec::new();
        for (outcome, entry) in outcomes.into_iter().zip(entries) {
            match outcome {
                Outcome::Done { result, .. } => {
                    fields.push(Field { result: *result, specimen: entry.specimen.clone() });
                }
                Outcome::Failed { reason, .. } => return Err(StageError::BadData(reason)),
            }
        }
        let results = Results::new(ensemble.models(), serde_json::Value::Null, &outputs, fields, Vec::new(), true);
        std::fs::write(root.join(ResultsFolder::FRACTIONS), results.fractions_csv()?)?;
        std::fs::write(root.join(ResultsFolder::SUMMARY), results.summary_csv()?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
