//! Available data sets of a plan.

use crate::cache::{Digest, Store};
use crate::data::survey::{self, Survey};
use crate::data::{Manifest, OpenDataset, Root};
use crate::plan::{CacheState, Plan};
use crate::stage::Places;
use std::path::PathBuf;

/// An available data set: its stage has run, or its files have just been read.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// The index of its stage.
    pub instance: usize,
    /// The name of its stage.
    pub name: String,
    /// The data set.
    pub open: OpenDataset,
    root: Root,
}

impl DataSet {
    /// The data set `name` of stage `instance`, with its manifest and the root of its files.
    pub fn new(instance: usize, name: &str, manifest: Manifest, root: Root) -> DataSet {
        DataSet { instance, name: name.to_owned(), open: OpenDataset::new(manifest, root.clone()), root }
    }

    /// Number, sizes and file formats of the images; from the cache, or by reading the headers of all files.
    pub fn survey(&self, store: &Store) -> Survey {
        let key = ("survey", survey::CODE_VERSION, &self.open.manifest);
        let Ok(key) = serde_json::to_vec(&key).map(|bytes| Digest::of(&bytes)) else {
            return survey::survey(&self.open.manifest, &|name| self.path(name));
        };
        store.read_finding(key).unwrap_or_else(|| {
            let survey = survey::survey(&self.open.manifest, &|name| self.path(name));
            store.write_finding(key, &survey);
            survey
        })
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        match &self.root {
            Root::Folder(folder) => Some(folder.join(name)),
            Root::Files(files) => files.get(name).cloned(),
        }
    }
}

/// The data set of a stage, if its output is in the cache.
pub fn data_set(plan: &Plan, instance: usize, store: &Store, places: &Places) -> Option<DataSet> {
    let CacheState::Hit(record) = &plan.states[instance] else { return None };
    let stage = &plan.experiment.instances[instance];
    let files = store.files(record);
    let manifest = Manifest::read(files.get(Manifest::FILE)?).ok()?;
    let source = stage.stage.source(places);
    Some(DataSet::new(instance, &stage.name, manifest, source.map_or(Root::Files(files), Root::Folder)))
}

/// What the manifest of a data set follows from whose stage has not run: the key of that stage.
fn manifest_source(plan: &Plan, instance: usize) -> Option<Digest> {
    let CacheState::Miss { key, .. } = &plan.states[instance] else { return None };
    serde_json::to_vec(&("manifest", key)).ok().map(|bytes| Digest::of(&bytes))
}

/// The manifest of a data set whose stage has not run, if [`remember`] was told of it: then its files are the same.
pub fn remembered(plan: &Plan, instance: usize, store: &Store) -> Option<Manifest> {
    store.read_finding(manifest_source(plan, instance)?)
}

/// Keeps what `data` has found out of a data set whose stage has not run, for `plan` and the next `data`.
pub fn remember(plan: &Plan, instance: usize, store: &Store, manifest: &Manifest) {
    if let Some(source) = manifest_source(plan, instance) {
        store.write_finding(source, manifest);
    }
}

/// All data sets whose stages have run, in the order of the experiment.
pub fn data_sets(plan: &Plan, store: &Store, places: &Places) -> Vec<DataSet> {
    (0..plan.states.len())
        .filter(|&instance| plan.experiment.instances[instance].kind.leaves(Manifest::FILE))
        .filter_map(|instance| data_set(plan, instance, store, places))
        .collect()
}
