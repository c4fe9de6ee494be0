//! A cache and a shared cache in a folder, for tests.

use crate::{GcRules, NoObserver, Push, Pushed, Settings, SharedCache};
use matssl_pipeline::cache::{KEY_SCHEMA, Key, KeyMaterial, Provenance, Record, Store};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) shared: Arc<SharedCache>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("cache")).unwrap();
        let shared = open(folder.path(), false);
        World { folder, store, shared }
    }

    /// A finished stage that leaves `files`.
    pub(crate) fn publish(&self, seed: u64, files: &[(&str, &str)]) -> Record {
        let material = KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "toy".into(),
            code_version: 1,
            params: serde_json::json!({}),
            seed: Some(seed),
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        let private = self.store.private_folder().unwrap();
        for (name, text) in files {
            fs::write(private.out().join(name), text).unwrap();
        }
        let made = Provenance { stage: format!("e/s@{seed}"), ..Provenance::default() };
        self.store.publish(material, &private.out(), made, BTreeMap::new(), false).unwrap()
    }

    pub(crate) fn push(&self, experiment: &str, keys: &[Key], all: bool) -> Pushed {
        let push = Push { store: &self.store, experiment, keys, all, is_dry: false };
        self.shared.push(&push, &|| false).unwrap()
    }

    pub(crate) fn remote_files(&self, folder: &str) -> Vec<PathBuf> {
        files_below(&self.folder.path().join("shared").join(folder))
    }

    /// Makes everything in the remote look as if it was written so long ago.
    pub(crate) fn age(&self, age: Duration) {
        for path in self.remote_files("") {
            File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
    }

    pub(crate) fn gc(&self, days: u32, forget: &[&str], delete: bool) -> (usize, usize, usize) {
        let forget = forget.iter().map(|name| (*name).to_owned()).collect();
        let swept = self.shared.gc(&GcRules { older_than: days * DAY, forget, delete }).unwrap();
        (swept.records, swept.objects.count, swept.kept)
    }
}

pub(crate) fn open(folder: &Path, readonly: bool) -> Arc<SharedCache> {
    let url = folder.join("shared").to_str().unwrap().to_owned();
    SharedCache::open(&Settings { url, readonly, ..Settings::default() }, Arc::new(NoObserver)).unwrap()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => found.extend(files_below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}
