//! `[[models]]`: trained models as folders that stand by themselves.

mod labels;

use super::artifacts::ModelFile;
use super::data_set::manifests_of;
use super::errors::data_error;
use super::outlook::Outlook;
use super::table::by_label;
use super::{Context, Cropped, DATASET, Evaluated, Folder, Foresight, InputFiles, Known, StageError, StageKind};
use super::{Progress, TrainedModel, write_onnx};
use crate::cache::Digest;
use crate::data::{Manifest, Split};
use crate::experiment::{Input, LabelledInput, ParamError, ReferenceSpec, Section};
use crate::metrics::{Evaluation, ImageConfusions};
use crate::predict::model::{ModelFolder, ModelWriteError, Provenance, write_ensemble};
use crate::report::{FileName, safe_names};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[[models]]`. Writes the folder `models/FILE` of one model, `models/FILE/NAME` for each of several, or an ensemble of them:
/// `model.safetensors`, `model.json`, `README.md`, which `matssl-run predict` takes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Models {
    /// Name of the folder in `models`.
    file: FileName,
    /// Fine-tuned models, all seeds.
    rows: Input,
    /// The data set that they were trained on.
    dataset: Input,
    /// Evaluations of these models on this data set, whose scores stand in `model.json`. Each belongs to the model with its
    /// label, or with the end of its label (`test.segment.matssl` to `segment.matssl`), and its seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scores: Option<Input>,
    /// Whether they predict together, as one folder.
    #[serde(default, skip_serializing_if = "is_false")]
    ensemble: bool,
    /// Whether each folder also holds the network as `model.onnx`.
    #[serde(default, skip_serializing_if = "is_false")]
    onnx: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The folder of all models among the reports.
pub(crate) const FOLDER: &str = "models";

impl StageKind for Models {
    const KIND: &'static str = "models";
    const CODE_VERSION: u32 = 1;
    const SECTION: Section = Section::Models;
    const LABELLED: bool = true;
    const REFERENCES: &'static [ReferenceSpec] = &[
        ReferenceSpec::many("rows", &["finetune"]).of_all_seeds(),
        DATASET,
        ReferenceSpec::many("scores", &["evaluate"]).of_all_seeds().or_value(),
    ];

    fn check_labels(&self, labels: &[LabelledInput<'_>]) -> Result<(), ParamError> {
        let of = |role: &str| labels.iter().filter(|(param, _)| *param == role).map(|(_, label)| *label).collect();
        let (models, scores): (Vec<&str>, Vec<&str>) = (of("rows"), of("scores"));
        let check = |message| ParamError::Check { param: "scores", message };
        scores.iter().try_for_each(|label| labels::model_of(&models, label).map(drop)).map_err(check)
    }

    fn reads(&self, role: &str) -> Vec<String> {
        match role {
            "rows" => vec![ModelFile::FILE.to_owned(), ModelFolder::REFERENCE.to_owned()],
            "scores" => vec![Evaluation::FILE.to_owned(), ImageConfusions::FILE.to_owned()],
            _ => manifests_of([Split::Train, Split::Val, Split::Test]),
        }
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let Some((name, manifest)) = Outlook::images(known, "dataset") else { return Foresight::nothing() };
        let mut problems = Vec::new();
        for input in known.inputs("rows") {
            if let Some(Outlook::Training { has_onnx: false, .. }) = Outlook::of(input)
                && self.onnx
            {
                problems.push(format!("{}: {}; remove `onnx`", input.label, super::onnx_file::REFUSAL));
            }
            if let Some(Outlook::Training { classes: Some(classes), .. }) = Outlook::of(input)
                && *classes != manifest.classes
            {
                problems.push(format!("{} was not trained on data set {name}: it has other classes", input.label));
            }
        }
        for input in known.inputs("scores") {
            if let Some(Outlook::Scores(scores)) = Outlook::of(input)
                && scores.models > 1
            {
                problems.push(not_of_one(input.label, scores.models));
            }
        }
        problems.dedup();
        Foresight { problems, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = context.input("dataset")?.clone();
        let manifest = Manifest::read_among(&dataset.files).map_err(data_error)?;
        let contents = contents(&dataset)?;
        let rows = context.inputs("rows").to_vec();
        let mut folders = self.folders(&rows, context.inputs("scores"), &dataset.label, &manifest, &contents)?;
        let parent = context.out.join(FOLDER);
        std::fs::create_dir_all(&parent)?;
        let target = parent.join(self.file.as_str());
        let mut written = Vec::new();
        if self.ensemble {
            let members: Vec<_> = folders.into_iter().map(|(name, folder)| (name, folder.files)).collect();
            written = write_ensemble(&target, self.file.as_str(), &members).map_err(not_written)?;
        } else {
            let only = folders.len() == 1;
            let total = folders.len() as u64;
            for (done, (name, folder)) in (1..).zip(folders.drain(..)) {
                let files = folder.files;
                let place = if only { target.clone() } else { target.join(name) };
                let folder = ModelFolder::write(&place, &files.description, files.weights, files.reference);
                written.push(folder.map_err(not_written)?);
                context.progress(Progress { done, total, unit: "model".into(), ..Progress::default() });
            }
        }
        if self.onnx {
            written.iter_mut().try_for_each(write_onnx)?;
        }
        Ok(())
    }
}

/// The content hash of the manifest of each split, as far as it is there.
fn contents(dataset: &InputFiles) -> Result<BTreeMap<Split, String>, StageError> {
    let mut contents = BTreeMap::new();
    for split in Split::ALL {
        if let Some(path) = dataset.files.get(Manifest::part(split)) {
            contents.insert(split, Digest::of(&std::fs::read(path)?).to_string());
        }
    }
    Ok(contents)
}

impl Models {
    /// What each folder is made of, with its name.
    fn folders<'a>(
        &self,
        rows: &'a [InputFiles],
        scores: &[InputFiles],
        dataset: &'a str,
        manifest: &'a Manifest,
        contents: &'a BTreeMap<Split, String>,
    ) -> Result<Vec<(String, Folder<'a>)>, StageError> {
        let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
        let mut evaluated: Vec<(&str, Option<u64>, Evaluated)> = Vec::new();
        for input in scores {
            let label = labels::model_of(&labels, &input.label).map_err(StageError::BadData)?;
            let content = |split: &str| Split::named(split).and_then(|split| contents.get(&split)).cloned();
            let read = Evaluated::read(&input.files, dataset, |split| content(split).unwrap_or_default())?;
            let Some(own) = read else { continue };
            if let Some(models) = own.evaluation.models {
                return Err(StageError::BadData(not_of_one(&input.label, models)));
            }
            if !is_of(&own.evaluation, manifest) {
                return Err(StageError::BadData(format!(
                    "{} was not evaluated on data set {dataset}, whose classes or number of images differ",
                    input.label
                )));
            }
            evaluated.push((label, input.seed, own));
        }
        let mut folders = Vec::new();
        let ordered: Vec<&InputFiles> = by_label(rows).into_iter().flat_map(|(_, seeds)| seeds).collect();
        let names: Vec<String> = ordered.iter().map(|row| name_of(row)).collect();
        let safe = safe_names(names.iter().map(String::as_str));
        for ((row, name), safe) in ordered.into_iter().zip(&names).zip(safe) {
            let (own, others) =
                evaluated.into_iter().partition(|(label, seed, _)| *label == row.label && *seed == row.seed);
            evaluated = others;
            let own: Vec<(&str, Option<u64>, Evaluated)> = own;
            let model = TrainedModel {
                name: name.clone(),
                weights: row.file(ModelFile::FILE)?,
                reference: row.files.get(ModelFolder::REFERENCE).map(std::path::PathBuf::as_path),
                dataset,
                manifest,
                cropped: Cropped::AsListed,
                contents,
                evaluated: own.into_iter().map(|(.., evaluated)| evaluated).collect(),
                provenance: Provenance {
                    stage: name.clone(),
                    seed: row.seed,
                    inputs: contents_of_inputs(dataset, contents),
                    ..Provenance::default()
                },
            };
            folders.push((safe, model.folder()?));
        }
        Ok(folders)
    }
}

/// The stage with its seed.
fn name_of(row: &InputFiles) -> String {
    match row.seed {
        Some(seed) => format!("{}@{seed}", row.label),
        None => row.label.clone(),
    }
}

/// The manifests of a data set's splits, by name.
fn contents_of_inputs(dataset: &str, contents: &BTreeMap<Split, String>) -> BTreeMap<String, String> {
    contents.iter().map(|(split, content)| (format!("{dataset} ({})", split.name()), content.clone())).collect()
}

/// Why an evaluation says nothing of one model.
fn not_of_one(label: &str, models: usize) -> String {
    format!(
        "{label} is an evaluation of {models} models together, which is the score of none of them; take it out of `scores`"
    )
}

/// Whether `evaluation` can be one of `manifest`'s images.
fn is_of(evaluation: &Evaluation, manifest: &Manifest) -> bool {
    let classes: Vec<&String> = evaluation.classes.iter().map(|class| &class.name).collect();
    let images = Split::named(&evaluation.split).map(|split| manifest.entries(split).len());
    classes.into_iter().eq(&manifest.classes) && images == Some(evaluation.images)
}

fn not_written(error: ModelWriteError) -> StageError {
    match error {
        ModelWriteError::NoModel(error) => StageError::BadData(error.to_string()),
        error => StageError::failed(error),
    }
}
