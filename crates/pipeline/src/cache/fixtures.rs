//! What the tests of the cache share: an empty cache, and stages published to it.

use super::{Digest, KEY_SCHEMA, KeyInput, KeyMaterial, Provenance, Record, Store};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// An empty cache in a folder of its own.
pub(super) fn empty_cache() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

/// The key material of a stage without inputs.
pub(super) fn material(seed: u64) -> KeyMaterial {
    KeyMaterial {
        schema: KEY_SCHEMA,
        kind: "toy".into(),
        code_version: 1,
        params: json!({ "a": 1 }),
        seed: Some(seed),
        inputs: BTreeMap::new(),
        files: BTreeMap::new(),
    }
}

/// A stage to publish.
pub(super) struct Stage<'s> {
    pub(super) material: KeyMaterial,
    /// (path, content) of each file that it leaves.
    pub(super) files: &'s [(&'s str, &'s str)],
    pub(super) made: Provenance,
    pub(super) telemetry: BTreeMap<String, serde_json::Value>,
    pub(super) replace: bool,
}

impl<'s> Stage<'s> {
    /// `e/s@<seed>`, which has no inputs and leaves `files`.
    pub(super) fn new(seed: u64, files: &'s [(&'s str, &'s str)]) -> Self {
        Stage {
            material: material(seed),
            files,
            made: Provenance { stage: format!("e/s@{seed}"), ..Provenance::default() },
            telemetry: BTreeMap::new(),
            replace: false,
        }
    }

    pub(super) fn reading(mut self, inputs: &[&Record]) -> Self {
        let inputs = inputs.iter().map(|record| KeyInput::all(record.content));
        self.material.inputs = BTreeMap::from([("of".to_owned(), inputs.collect())]);
        self
    }

    pub(super) fn publish(self, store: &Store) -> Record {
        let folder = tempfile::tempdir_in(store.root()).unwrap();
        for (path, content) in self.files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        store.publish(self.material, folder.path(), self.made, self.telemetry, self.replace).unwrap()
    }
}

/// Publishes the stage `e/s@<seed>`, which leaves `files`.
pub(super) fn publish(store: &Store, seed: u64, files: &[(&str, &str)]) -> Record {
    Stage::new(seed, files).publish(store)
}

/// Puts other bytes in the place of an object, which is read-only.
pub(super) fn replace_object(store: &Store, digest: Digest, bytes: &[u8]) {
    let object = store.object(digest);
    fs::remove_file(&object).unwrap();
    fs::write(object, bytes).unwrap();
}

/// Replaces the record's file by that of a newer program, whose key schema is `schema` and which knows another parameter.
/// It has no seal, because a test cannot make one for it.
pub(super) fn make_foreign(record: &Path, schema: u32) {
    let text = fs::read_to_string(record).unwrap();
    let unsealed = format!("{}}}", text.split_once(",\"seal\"").unwrap().0);
    let foreign = unsealed.replace("\"schema\":1,", &format!("\"schema\":{schema},\"precision\":\"bf16\","));
    assert_ne!(foreign, unsealed);
    fs::write(record, foreign).unwrap();
}
