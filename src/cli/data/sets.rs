//! The data sets of an experiment: found and checked, or why not.

use super::super::place::Place;
use super::Counter;
use crate::data::Manifest;
use crate::data::format::{DatasetParams, SourceFile, list_files, scan};
use crate::data::{DataError, OpenDataset, Root};
use crate::exit_code;
use crate::plan::{self, DataSet};
use crate::stage;
use std::path::PathBuf;

/// One `[datasets.NAME]`, or a stage that draws one.
pub(super) struct Set {
    /// Its index among the experiment's stages.
    pub(super) instance: usize,
    pub(super) name: String,
    /// The word of its format, or `synthesize`.
    pub(super) format: String,
    /// Where it is looked for; none if the program draws it.
    pub(super) folder: Option<PathBuf>,
    pub(super) state: SetState,
}

pub(super) enum SetState {
    /// Every file of it decoded and checked, now or by the stage whose output is in the cache.
    Found(Box<DataSet>),
    /// Will be drawn by the run.
    Drawn,
    /// Missing (exit code 4) or bad (5).
    Wrong { code: u8, message: String },
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

/// All of them, in the file's order.
pub(super) fn all(place: &Place, counter: &Counter) -> Vec<Set> {
    let mut sets = Vec::new();
    for (index, instance) in place.plan.experiment.instances.iter().enumerate() {
        let (format, folder, state) = match stage::dataset_params(instance.stage.as_ref()) {
            Some(params) => {
                let folder = place.places.resolve(&params.path);
                let what = format!("checking {}", instance.name);
                let found = counter.during(&what, |progress| open(place, index, params, progress));
                (params.format.name().to_owned(), Some(folder), state(found))
            }
            None if instance.kind.leaves(Manifest::FILE) => (instance.kind.name.to_owned(), None, drawn(place, index)),
            None => continue,
        };
        sets.push(Set { instance: index, name: instance.name.clone(), format, folder, state });
    }
    sets
}

fn state(found: anyhow::Result<DataSet>) -> SetState {
    match found {
        Ok(set) => SetState::Found(Box::new(set)),
        Err(error) => {
            let code = error.downcast_ref::<DataError>().map_or(exit_code::INTERNAL, DataError::exit_code);
            SetState::Wrong { code, message: format!("{error:#}") }
        }
    }
}

/// The manifest of the cache, if the stage has run on these very files; else every file is looked at now.
fn open(
    place: &Place,
    stage: usize,
    params: &DatasetParams,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> anyhow::Result<DataSet> {
    if let Some(set) = plan::data_set(&place.plan, stage, &place.store, &place.places) {
        return Ok(set);
    }
    let folder = place.places.resolve(&params.path);
    let files = list_files(params, &folder)?;
    let digests = place.store.digests(&folder, &files)?;
    let digest = |name: &str| digests.get(name).map(ToString::to_string).unwrap_or_default();
    let files: Vec<SourceFile> =
        files.into_iter().map(|(name, path)| SourceFile { digest: digest(&name), name, path }).collect();
    let manifest = scan(params, &folder, &files, progress)?;
    Ok(DataSet::new(stage, &place.plan.experiment.instances[stage].name, manifest, Root::Folder(folder)))
}

fn drawn(place: &Place, stage: usize) -> SetState {
    let set = plan::data_set(&place.plan, stage, &place.store, &place.places);
    set.map_or(SetState::Drawn, |set| SetState::Found(Box::new(set)))
}
