//! The data sets of an experiment, checked, or why they could not be.

use super::super::open_experiment::OpenExperiment;
use super::super::outcome::Ending;
use super::counter::Counter;
use crate::data::Manifest;
use crate::data::format::{DatasetParams, PassedOver, SourceFile, list_files, scan};
use crate::data::{OpenDataset, Root};
use crate::lineage;
use crate::lineage::DataSet;
use crate::stage;
use crate::stage::StageError;
use std::path::{Path, PathBuf};

/// A data set: one `[datasets.NAME]`, or the output of a `synthesize` stage.
pub(super) struct Set {
    /// Its index among the experiment's stages.
    pub(super) instance: usize,
    pub(super) name: String,
    /// The word of its format, or `synthesize`.
    pub(super) format: String,
    /// Folder in which it is looked for; none if a stage draws it.
    pub(super) folder: Option<PathBuf>,
    pub(super) state: SetState,
    /// What lies in its folder and is not read; none if there is no folder.
    pub(super) passed_over: Option<PassedOver>,
}

pub(super) enum SetState {
    /// Every file is decoded and checked, now or earlier by the cached stage.
    Found(Box<DataSet>),
    /// A stage will draw it.
    Drawn,
    /// Missing or bad.
    Wrong { ending: Ending, message: String },
}

impl Set {
    pub(super) fn found(&self) -> Option<&DataSet> {
        match &self.state {
            SetState::Found(set) => Some(set),
            _ => None,
        }
    }

    pub(super) fn open(&self) -> Option<&OpenDataset> {
        self.found().map(|set| &set.open)
    }
}

/// All data sets, in the order of the file.
pub(super) fn all(experiment: &OpenExperiment, counter: &Counter) -> Vec<Set> {
    let mut sets = Vec::new();
    for (index, instance) in experiment.plan.experiment.instances.iter().enumerate() {
        let (format, folder, passed_over, state) = match stage::dataset_params(instance.stage.as_ref()) {
            Some(params) => {
                let folder = experiment.places.resolve(&params.path);
                let what = format!("checking {}", instance.name);
                let found = counter.during(&what, |progress| open(experiment, index, params, progress));
                let passed_over = folder.is_dir().then(|| passed_over(params, &folder));
                (params.format.name().to_owned(), Some(folder), passed_over, state(found))
            }
            None if instance.kind.leaves(Manifest::FILE) => {
                (instance.kind.name.to_owned(), None, None, drawn(experiment, index))
            }
            None => continue,
        };
        sets.push(Set { instance: index, name: instance.name.clone(), format, folder, state, passed_over });
    }
    sets
}

fn state(found: anyhow::Result<DataSet>) -> SetState {
    match found {
        Ok(set) => SetState::Found(Box::new(set)),
        Err(error) => SetState::Wrong { ending: Ending::from(&error), message: format!("{error:#}") },
    }
}

/// What the folder of a data set holds beside the files that are read. Where they cannot be listed, that error is said.
fn passed_over(params: &DatasetParams, folder: &Path) -> PassedOver {
    list_files(params, folder).map(|files| PassedOver::of(folder, &files)).unwrap_or_default()
}

/// The manifest from the cache, if the stage has run on these very files. Otherwise every file is checked now.
fn open(
    experiment: &OpenExperiment,
    stage: usize,
    params: &DatasetParams,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> anyhow::Result<DataSet> {
    if let Some(set) = lineage::data_set(&experiment.plan, stage, &experiment.store, &experiment.places) {
        return Ok(set);
    }
    let folder = experiment.places.resolve(&params.path);
    let set = |manifest, folder| {
        DataSet::new(stage, &experiment.plan.experiment.instances[stage].name, manifest, Root::Folder(folder))
    };
    if let Some(manifest) = lineage::remembered(&experiment.plan, stage, &experiment.store) {
        return Ok(set(manifest, folder));
    }
    let files = list_files(params, &folder)?;
    let digests = experiment.store.digests(&folder, &files).map_err(StageError::of_files)?;
    let digest = |name: &str| digests.get(name).map(ToString::to_string).unwrap_or_default();
    let files: Vec<SourceFile> =
        files.into_iter().map(|(name, path)| SourceFile { digest: digest(&name), name, path }).collect();
    let manifest = scan(params, &folder, &files, progress)?;
    lineage::remember(&experiment.plan, stage, &experiment.store, &manifest);
    Ok(set(manifest, folder))
}

fn drawn(experiment: &OpenExperiment, stage: usize) -> SetState {
    let set = lineage::data_set(&experiment.plan, stage, &experiment.store, &experiment.places);
    set.map_or(SetState::Drawn, |set| SetState::Found(Box::new(set)))
}
