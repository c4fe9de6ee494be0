//! Data sets of a plan whose files are at hand.

use crate::cache::{Digest, Store};
use crate::data::survey::{self, Survey};
use crate::data::{Manifest, OpenDataset, Root};
use crate::plan::{CacheState, Plan};
use crate::stage::Places;
use std::path::PathBuf;

/// A data set that is at hand: its stage has run, or its files have just been looked at.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// The index of its stage.
    pub instance: usize,
    /// Its name.
    pub name: String,
    /// The data set.
    pub open: OpenDataset,
    root: Root,
}

impl DataSet {
    /// The data set called `name` of stage `instance`, with its manifest and where its files lie.
    pub fn new(instance: usize, name: &str, manifest: Manifest, root: Root) -> DataSet {
        DataSet { instance, name: name.to_owned(), open: OpenDataset::new(manifest, root.clone()), root }
    }

    /// How many images, of which sizes, stored how; from the cache, or by reading the headers of all files.
    pub fn survey(&self, store: &Store) -> Survey {
        let of = ("survey", survey::CODE_VERSION, &self.open.manifest);
        let Ok(of) = serde_json::to_vec(&of).map(|bytes| Digest::of(&bytes)) else {
            return survey::survey(&self.open.manifest, &|name| self.place(name));
        };
        store.read_finding(of).unwrap_or_else(|| {
            let survey = survey::survey(&self.open.manifest, &|name| self.place(name));
            store.write_finding(of, &survey);
            survey
        })
    }

    fn place(&self, name: &str) -> Option<PathBuf> {
        match &self.root {
            Root::Folder(folder) => Some(folder.join(name)),
            Root::Files(files) => files.get(name).cloned(),
        }
    }
}

/// The data set of a stage whose output is in the cache; `None` for any other.
pub fn data_set(plan: &Plan, instance: usize, store: &Store, places: &Places) -> Option<DataSet> {
    let CacheState::Hit(record) = &plan.states[instance] else { return None };
    let of = &plan.experiment.instances[instance];
    let files = store.files(record);
    let manifest = Manifest::read(files.get(Manifest::FILE)?).ok()?;
    let source = of.stage.source(places);
    Some(DataSet::new(instance, &of.name, manifest, source.map_or(Root::Files(files), Root::Folder)))
}

/// All data sets of an experiment whose stages have run, in the file's order.
pub fn data_sets(plan: &Plan, store: &Store, places: &Places) -> Vec<DataSet> {
    (0..plan.states.len())
        .filter(|&instance| plan.experiment.instances[instance].kind.leaves(Manifest::FILE))
        .filter_map(|instance| data_set(plan, instance, store, places))
        .collect()
}
