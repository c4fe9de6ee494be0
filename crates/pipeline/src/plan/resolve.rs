//! Key material of a stage from its inputs' records: one function for plan, run and worker.

use crate::cache::{Digest, KEY_SCHEMA, Key, KeyInput, KeyMaterial, Record, Store};
use crate::experiment::{InputRef, Instance};
use crate::stage::{Kind, Places, Stage, StageError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An input whose stage has finished.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResolvedInput {
    /// Its full name, for messages.
    pub stage: String,
    /// The parameter that names it.
    pub role: String,
    /// Its label for tables and figures.
    pub label: String,
    /// Its seed.
    pub seed: Option<u64>,
    /// Key of its record.
    pub key: Key,
    /// Names of its output files that are read; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// Hash of these files.
    pub content: Digest,
    /// For a downloaded data set: the folder of its files outside the cache.
    pub source: Option<PathBuf>,
}

impl ResolvedInput {
    /// Resolves the `input` of `reader`, which refers to `instance`, which finished with `record`.
    pub fn new(reader: &dyn Stage, input: &InputRef, instance: &Instance, record: &Record, places: &Places) -> Self {
        let reads = reader.reads(input.role);
        ResolvedInput {
            stage: instance.name.clone(),
            role: input.role.to_owned(),
            label: input.label.clone(),
            seed: instance.seed,
            key: record.key,
            content: record.content_for(&reads),
            reads,
            source: instance.stage.source(places),
        }
    }
}

/// The parts of a finished input that enter the key of its reader.
#[derive(Clone, Debug)]
pub struct KeyedInput<'a> {
    role: &'a str,
    label: &'a str,
    seed: Option<u64>,
    reads: Vec<String>,
    content: Digest,
}

impl<'a> KeyedInput<'a> {
    /// The key parts of the `input` of `reader`, which refers to `instance`, which finished with `record`.
    pub fn new(reader: &dyn Stage, input: &'a InputRef, instance: &Instance, record: &Record) -> Self {
        let reads = reader.reads(input.role);
        let content = record.content_for(&reads);
        KeyedInput { role: input.role, label: &input.label, seed: instance.seed, reads, content }
    }
}

impl<'a> From<&'a ResolvedInput> for KeyedInput<'a> {
    fn from(input: &'a ResolvedInput) -> Self {
        let ResolvedInput { role, label, seed, reads, content, .. } = input;
        KeyedInput { role, label, seed: *seed, reads: reads.clone(), content: *content }
    }
}

/// The parts of a stage that enter its key.
#[derive(Clone, Copy, Debug)]
pub struct KeyedStage<'a> {
    /// The stage.
    pub stage: &'a dyn Stage,
    /// Its parameters as JSON.
    pub params: &'a Value,
    /// Its seed, if it or its inputs have one.
    pub seed: Option<u64>,
}

impl<'a> From<&'a Instance> for KeyedStage<'a> {
    fn from(instance: &'a Instance) -> Self {
        KeyedStage { stage: instance.stage.as_ref(), params: &instance.params, seed: instance.seed }
    }
}

/// Key material: everything the output of a stage depends on.
///
/// # Errors
/// [`StageError::NotThere`] if a data set's folder is missing, [`StageError::Failed`] if its files cannot be read.
pub fn material<'a>(
    of: KeyedStage<'_>,
    inputs: impl IntoIterator<Item = KeyedInput<'a>>,
    store: &Store,
    places: &Places,
) -> Result<KeyMaterial, StageError> {
    let files = files(of.stage, store, places)?;
    let labelled = of.stage.kind().labelled;
    let mut material = without_inputs(of, files);
    for input in inputs {
        let label = labelled.then(|| (input.label.to_owned(), input.seed));
        let role = material.inputs.entry(input.role.to_owned()).or_default();
        role.push(KeyInput { content: input.content, reads: input.reads, label });
    }
    Ok(material)
}

/// Key material of a stage that reads `files`, without its inputs.
pub(super) fn without_inputs(of: KeyedStage<'_>, files: BTreeMap<String, Digest>) -> KeyMaterial {
    let kind = of.stage.kind();
    KeyMaterial {
        schema: KEY_SCHEMA,
        kind: kind.name.to_owned(),
        code_version: kind.code_version,
        params: keyed_params(kind, of.params),
        // A stage that draws nothing depends on random stages only by their content.
        seed: of.seed.filter(|_| of.stage.draws()),
        inputs: BTreeMap::new(),
        files,
    }
}

/// Names and hashes of the files outside the cache that a stage reads; unchanged files are not read again.
///
/// # Errors
/// As [`material`].
pub(super) fn files(stage: &dyn Stage, store: &Store, places: &Places) -> Result<BTreeMap<String, Digest>, StageError> {
    let external = stage.external_files(places)?;
    match stage.source(places) {
        Some(source) if !external.is_empty() => store.digests(&source, &external).map_err(StageError::of_files),
        _ => Ok(BTreeMap::new()),
    }
}

/// Parameters without those that only name locations.
pub(super) fn keyed_params(kind: &Kind, params: &Value) -> Value {
    let mut params = params.clone();
    for path in kind.unkeyed {
        let (table, name) = path.rsplit_once('.').unwrap_or(("", path));
        let table = table.split('.').filter(|part| !part.is_empty()).try_fold(&mut params, |at, part| at.get_mut(part));
        if let Some(Value::Object(table)) = table {
            table.remove(name);
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(name: &str) -> &'static Kind {
        Kind::named(crate::stage::testing::KINDS, name).unwrap()
    }

    #[test]
    fn paths_are_kept_out_of_the_key() {
        let kind = named("source");
        assert_eq!(keyed_params(kind, &json!({"format": "ebc", "path": "a"})), json!({"format": "ebc"}));
        let kind = named("training");
        let params = json!({"encoder": {"arch": "resnet18", "weights": "a.pth"}, "epochs": 1});
        assert_eq!(keyed_params(kind, &params), json!({"encoder": {"arch": "resnet18"}, "epochs": 1}));
        assert_eq!(keyed_params(kind, &json!({"encoder": "<input>"})), json!({"encoder": "<input>"}));
    }
}
