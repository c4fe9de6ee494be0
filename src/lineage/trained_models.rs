//! Trained models of an experiment, with what it knows of them.

use crate::cache::{Digest, KeyInput, Provenance as Made, Record, Store};
use crate::data::format::DatasetParams;
use crate::data::{Crop, Manifest, Split};
use crate::experiment::InputRef;
use crate::metrics::{Evaluation, ImageConfusions};
use crate::plan::{CacheState, Plan};
use crate::predict::model::{ModelFolder, Provenance, update_ensemble};
use crate::stage::{self, Cropped, Evaluated, StageError, TrainedModel};
use anyhow::{Context as _, Result, anyhow};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A trained model of a finished stage, as it lies in the cache.
pub struct ModelSource {
    name: String,
    weights: PathBuf,
    reference: Option<PathBuf>,
    dataset: String,
    manifest: Manifest,
    cropped: Option<Crop>,
    contents: BTreeMap<Split, String>,
    provenance: Provenance,
    evaluations: Vec<FinishedEvaluation>,
    /// Evaluations of the experiment that have not run.
    waiting: Vec<String>,
}

/// An evaluation of the model that has finished.
struct FinishedEvaluation {
    /// Its files by name.
    files: BTreeMap<String, PathBuf>,
    /// Name of its data set.
    dataset: String,
    /// Content hash of the manifest of each split of it.
    contents: BTreeMap<Split, String>,
}

/// Whether the stage `instance` trains a model.
pub fn trains_model(plan: &Plan, instance: usize) -> bool {
    plan.experiment.instances[instance].kind.leaves(ModelFolder::WEIGHTS)
}

impl ModelSource {
    /// The model of the stage `instance`, which has finished with `record`.
    ///
    /// # Errors
    /// A file is damaged in the cache.
    pub fn of(plan: &Plan, store: &Store, instance: usize, record: &Record) -> Result<Self> {
        let instances = &plan.experiment.instances;
        let stage = &instances[instance];
        let data = stage.inputs.iter().find(|input| input.role == stage::DATASET.param);
        let data = data.with_context(|| format!("{} has no data set", stage.name))?.instance;
        let Some(of_data) = record_of(plan, data) else {
            let message =
                format!("the data set {} is not in the cache: run the experiment again", instances[data].name);
            return Err(StageError::NotThere(message).into());
        };
        let weights = intact(store, record, ModelFolder::WEIGHTS)?;
        let manifest =
            intact(store, of_data, Manifest::FILE)?.with_context(|| format!("{} has no images", stage.name))?;
        let mut evaluations = Vec::new();
        let mut waiting = Vec::new();
        for (index, other) in instances.iter().enumerate() {
            // An evaluation of several models together says nothing of one.
            let role = other.inputs.iter().find(|input| input.instance == instance).map(|input| input.role);
            let is_alone = role.is_some_and(|role| other.inputs.iter().filter(|input| input.role == role).count() == 1);
            if !other.kind.leaves(Evaluation::FILE) || !is_alone {
                continue;
            }
            let data = other.inputs.iter().find(|input| input.role == stage::DATASET.param).map(|input| input.instance);
            let records = data.and_then(|data| Some((record_of(plan, index)?, data, record_of(plan, data)?)));
            let Some((record, data, of_data)) = records else {
                waiting.push(other.name.clone());
                continue;
            };
            let mut files = BTreeMap::new();
            for name in [Evaluation::FILE, ImageConfusions::FILE] {
                files.extend(intact(store, record, name)?.map(|path| (name.to_owned(), path)));
            }
            let (dataset, contents) = (instances[data].name.clone(), contents(of_data));
            evaluations.push(FinishedEvaluation { files, dataset, contents });
        }
        Ok(ModelSource {
            name: stage.name.clone(),
            weights: weights.with_context(|| format!("{} left no weights", stage.name))?,
            reference: intact(store, record, ModelFolder::REFERENCE)?,
            dataset: instances[data].name.clone(),
            manifest: Manifest::read(&manifest)?,
            cropped: stage::dataset_params(instances[data].stage.as_ref()).and_then(DatasetParams::crop_of_others),
            contents: contents(of_data),
            provenance: provenance(plan, instance, record),
            evaluations,
            waiting,
        })
    }

    /// Evaluations of it that have not run, so that their scores are not known.
    pub fn waiting(&self) -> &[String] {
        &self.waiting
    }

    /// The model.
    ///
    /// # Errors
    /// Damaged scores.
    pub(crate) fn model(&self) -> Result<TrainedModel<'_>> {
        let mut evaluated = Vec::new();
        for FinishedEvaluation { files, dataset, contents } in &self.evaluations {
            let content = |split: &str| Split::named(split).and_then(|split| contents.get(&split)).cloned();
            evaluated.extend(Evaluated::read(files, dataset, |split| content(split).unwrap_or_default())?);
        }
        Ok(TrainedModel {
            name: self.name.clone(),
            weights: &self.weights,
            reference: self.reference.as_deref(),
            dataset: &self.dataset,
            manifest: &self.manifest,
            cropped: Cropped::As(self.cropped),
            contents: &self.contents,
            evaluated,
            provenance: self.provenance.clone(),
        })
    }
}

/// Adds to the folders of `[[models]]` that `record` of the stage `instance` left, and that were copied to `folder`, what no stage
/// knows: experiment, keys and builds of the trainings (`records`, by stage), and how the experiment crops its images.
///
/// # Errors
/// A folder that was changed in the meantime, or cannot be written.
pub fn complete_models(
    plan: &Plan,
    instance: usize,
    record: &Record,
    records: &dyn Fn(usize) -> Option<Arc<Record>>,
    folder: &Path,
) -> Result<()> {
    let instances = &plan.experiment.instances;
    let mut ensembles = Vec::new();
    for output in record.outputs.iter().filter(|output| output.path.ends_with(ModelFolder::DESCRIPTION)) {
        let path = folder.join(&output.path);
        let place = path.parent().unwrap_or(folder);
        let mut models = ModelFolder::open_all(place)?;
        let Some(model) = models.iter_mut().find(|model| model.path == place) else {
            // Of an ensemble the models are in folders of their own.
            ensembles.push(place.to_owned());
            continue;
        };
        let is_of = |input: &&InputRef| {
            let seed = instances[input.instance].seed.map(|seed| format!("@{seed}")).unwrap_or_default();
            format!("{}{seed}", input.label) == model.description.name
        };
        let trained = instances[instance].inputs.iter().find(is_of).map(|input| input.instance);
        let Some((trained, record)) = trained.and_then(|trained| Some((trained, records(trained)?))) else { continue };
        let data = instances[trained].inputs.iter().find(|input| input.role == stage::DATASET.param);
        let params = data.and_then(|data| stage::dataset_params(instances[data.instance].stage.as_ref()));
        let mut description = model.description.clone();
        description.provenance = provenance(plan, trained, &record);
        description.read_as.crop = params.and_then(DatasetParams::crop_of_others);
        model.describe_as(description)?;
    }
    ensembles.iter().try_for_each(|folder| Ok(update_ensemble(folder)?))
}

fn record_of(plan: &Plan, instance: usize) -> Option<&Arc<Record>> {
    match &plan.states[instance] {
        CacheState::Hit(record) => Some(record),
        _ => None,
    }
}

/// The file `name` of `record` in the cache, if the stage left one.
///
/// # Errors
/// Its content is not the recorded one.
fn intact(store: &Store, record: &Record, name: &str) -> Result<Option<PathBuf>> {
    let Some(output) = record.outputs.iter().find(|output| output.path == name) else { return Ok(None) };
    let path = store.object(output.digest);
    if !Digest::of_file(&path).is_ok_and(|(digest, _)| digest == output.digest) {
        return Err(StageError::Failed(anyhow!(
            "{name} of {} is damaged in the cache ({}); `matssl-run cache verify` sets damaged files aside, and the next run \
             makes them again",
            record.made.stage,
            path.display()
        ))
        .into());
    }
    Ok(Some(path))
}

/// The content hash of the manifest of each split.
fn contents(record: &Record) -> BTreeMap<Split, String> {
    let of = |split: Split| {
        let output = record.outputs.iter().find(|output| output.path == Manifest::part(split))?;
        Some((split, output.digest.to_string()))
    };
    Split::ALL.into_iter().filter_map(of).collect()
}

fn provenance(plan: &Plan, instance: usize, record: &Record) -> Provenance {
    let instances = &plan.experiment.instances;
    let stage = &instances[instance];
    let mut inputs = BTreeMap::new();
    for (role, contents) in &record.material.inputs {
        let of_role = stage.inputs.iter().filter(|input| input.role == role);
        for (input, KeyInput { content, .. }) in of_role.zip(contents) {
            inputs.insert(instances[input.instance].name.clone(), content.to_string());
        }
    }
    Provenance {
        experiment: plan.experiment.name.clone(),
        stage: stage.name.clone(),
        key: record.key.to_string(),
        seed: stage.seed,
        program: program(&record.made),
        inputs,
    }
}

/// The program and its build.
fn program(made: &Made) -> String {
    let build = made.build.as_ref();
    let commit = build.and_then(|build| build.commit.as_ref()).map(|commit| format!(", commit {commit}"));
    let id = build.and_then(|build| build.build_id.as_ref()).map(|id| format!(", build {id}"));
    format!("{}{}{}", made.program, commit.unwrap_or_default(), id.unwrap_or_default())
}
