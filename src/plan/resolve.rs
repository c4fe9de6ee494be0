//! From a stage and its inputs' records to its key material: the same function for plan, run and worker.

use crate::cache::{Digest, KEY_SCHEMA, Key, KeyInput, KeyMaterial, Record, Store};
use crate::experiment::{InputRef, Instance};
use crate::stage::{self, Kind, Places, StageError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

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
    /// Its record.
    pub key: Key,
    /// The content of its output.
    pub content: Digest,
    /// Its kind and parameters, to find a data set's folder.
    pub kind: String,
    /// See `kind`.
    pub params: Value,
}

impl ResolvedInput {
    /// `input`, which refers to `instance`, which finished as `record`.
    pub fn new(input: &InputRef, instance: &Instance, record: &Record) -> Self {
        ResolvedInput {
            stage: instance.name.clone(),
            role: input.role.to_owned(),
            label: input.label.clone(),
            seed: instance.seed,
            key: record.key,
            content: record.content,
            kind: instance.kind.to_owned(),
            params: instance.params.clone(),
        }
    }
}

/// What of a finished input enters the key of its reader.
#[derive(Clone, Debug)]
pub struct KeyedInput<'a> {
    role: &'a str,
    label: &'a str,
    seed: Option<u64>,
    content: Digest,
}

impl<'a> KeyedInput<'a> {
    /// `input`, which refers to `instance`, which finished as `record`.
    pub fn new(input: &'a InputRef, instance: &Instance, record: &Record) -> Self {
        KeyedInput { role: input.role, label: &input.label, seed: instance.seed, content: record.content }
    }
}

impl<'a> From<&'a ResolvedInput> for KeyedInput<'a> {
    fn from(input: &'a ResolvedInput) -> Self {
        let ResolvedInput { role, label, seed, content, .. } = input;
        KeyedInput { role, label, seed: *seed, content: *content }
    }
}

/// All that the output of a stage depends on.
///
/// # Errors
/// [`StageError::NotThere`] if a data set's folder is missing, [`StageError::Failed`] if its files cannot be read.
pub fn material<'a>(
    kind: &str,
    params: &Value,
    seed: Option<u64>,
    inputs: impl IntoIterator<Item = KeyedInput<'a>>,
    store: &Store,
    places: &Places,
) -> Result<KeyMaterial, StageError> {
    let kind = stage::kind(kind).ok_or_else(|| anyhow::anyhow!("no kind of stage is called {kind}"))?;
    let files = files(kind, params, store, places)?;
    let mut material = KeyMaterial {
        schema: KEY_SCHEMA,
        kind: kind.spec.kind.to_owned(),
        code_version: kind.code_version,
        params: keyed_params(kind, params),
        seed: keyed_seed(kind, params, seed),
        inputs: Default::default(),
        files,
    };
    for input in inputs {
        let label = kind.labelled.then(|| (input.label.to_owned(), input.seed));
        let role = material.inputs.entry(input.role.to_owned()).or_default();
        role.push(KeyInput { content: input.content, label });
    }
    Ok(material)
}

/// Names and hashes of the files that a stage reads from outside the cache; those that have not changed are not read.
///
/// # Errors
/// As [`material`].
pub(super) fn files(
    kind: &Kind,
    params: &Value,
    store: &Store,
    places: &Places,
) -> Result<BTreeMap<String, Digest>, StageError> {
    let external = (kind.external_files)(params, places)?;
    match (kind.source)(params, places)? {
        Some(source) if !external.is_empty() => Ok(store.digests(&source, &external)?),
        _ => Ok(BTreeMap::new()),
    }
}

/// Parameters less those that only say where things lie.
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

/// The seed, where the kind itself draws: what only rests on random stages depends on them by content.
pub(super) fn keyed_seed(kind: &Kind, params: &Value, seed: Option<u64>) -> Option<u64> {
    seed.filter(|_| (kind.spec.seeded)(params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_kept_out_of_the_key() {
        let kind = stage::kind("dataset").unwrap();
        assert_eq!(keyed_params(kind, &json!({"format": "ebc", "path": "a"})), json!({"format": "ebc"}));
        let kind = stage::kind("pretrain").unwrap();
        let params = json!({"encoder": {"arch": "resnet18", "weights": "a.pth"}, "epochs": 1});
        assert_eq!(keyed_params(kind, &params), json!({"encoder": {"arch": "resnet18"}, "epochs": 1}));
        let kind = stage::kind("finetune").unwrap();
        assert_eq!(keyed_params(kind, &json!({"encoder": "<input>"})), json!({"encoder": "<input>"}));
    }
}
