//! The cache key: the hash of everything that a stage's output depends on, and of nothing else.
//!
//! | part | in the key | why |
//! | --- | --- | --- |
//! | key schema | yes | if the fields below change their meaning, old records no longer count |
//! | kind, code version | yes | the version is raised when the code gives other bytes |
//! | every parameter, defaults filled in | yes | a changed default gives another result |
//! | seed | where the kind draws at random | other stages run once for all seeds |
//! | inputs | by content hash of the files that are read | if an input is computed again with the same bytes, later stages do not run again (early cutoff) |
//! | labels of inputs | for tables, figures, overlays and commands | the output shows them |
//! | files of a data set | by name inside the set and content hash | a data set that was moved stays the same |
//! | names of stages and experiments | no | after a renaming nothing is computed again |
//! | paths, host, threads, `--jobs`, executor | no | they do not change a bit of the output |
//! | device kind, GPU index | no | a laptop may use what a GPU trained; the record says where it was made |
//! | times | no | no output depends on them |
//! | comments, order of keys, formatting of the file | no | they are gone when parameters are read |

use super::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Version of [`KeyMaterial`]. It is raised when a field changes its meaning; older records then no longer count.
pub const KEY_SCHEMA: u32 = 1;

/// A stage's name in the cache: the blake3 hash of its [`KeyMaterial`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Key(#[schemars(with = "String")] pub Digest);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that a stage's output depends on: see the table in this file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyMaterial {
    /// The [`KEY_SCHEMA`] of the program that made it.
    pub schema: u32,
    /// Kind of stage.
    pub kind: String,
    /// Code version of the kind.
    pub code_version: u32,
    /// Parameters with all defaults filled in; objects are sorted by key.
    pub params: Value,
    /// The seed, if the kind draws at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Inputs by role, in the order of the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Vec<KeyInput>>,
    /// Files outside the cache: name in the data set → content hash.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Digest>,
}

/// One input as the key sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyInput {
    /// Hash over the names and contents of the files of the input that are read.
    pub content: Digest,
    /// Names of these files; empty if all are read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// Label and seed, only if the output shows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<(String, Option<u64>)>,
}

impl KeyInput {
    /// An input of which all files are read and no label is shown.
    pub fn all(content: Digest) -> Self {
        KeyInput { content, reads: Vec::new(), label: None }
    }
}

impl KeyMaterial {
    /// The key: blake3 of the material as compact JSON with sorted keys.
    pub fn key(&self) -> Key {
        // This text is canonical: serde_json without `preserve_order` sorts objects, and structs keep their order.
        Key(Digest::of(&serde_json::to_vec(self).expect("plain data always serialises")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn material() -> KeyMaterial {
        KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "pretrain".into(),
            code_version: 1,
            params: json!({"epochs": 3, "temperature": 0.07}),
            seed: Some(0),
            inputs: BTreeMap::from([("patches".into(), vec![KeyInput::all(Digest::of(b"patches"))])]),
            files: BTreeMap::new(),
        }
    }

    /// If this fails, all users lose their caches: either undo the change, or raise [`KEY_SCHEMA`] on purpose.
    #[test]
    fn the_key_of_a_fixed_material_does_not_change() {
        assert_eq!(material().key().to_string(), "e0fa285439b9b2188387d3ee388aa4af70ea1332094c761d45d65ff14561b0a6");
    }

    #[test]
    fn each_part_changes_the_key() {
        let base = material().key();
        let mut changed = vec![];
        let mut with = |change: fn(&mut KeyMaterial)| {
            let mut other = material();
            change(&mut other);
            changed.push(other.key());
        };
        with(|m| m.schema += 1);
        with(|m| m.kind = "finetune".into());
        with(|m| m.code_version += 1);
        with(|m| m.params["temperature"] = json!(0.1));
        with(|m| m.seed = Some(1));
        with(|m| m.seed = None);
        with(|m| m.inputs.get_mut("patches").unwrap()[0].content = Digest::of(b"other"));
        with(|m| m.inputs.get_mut("patches").unwrap()[0].reads = vec!["a".into()]);
        with(|m| m.inputs.get_mut("patches").unwrap()[0].label = Some(("a".into(), None)));
        with(|m| m.files.extend([("a.png".into(), Digest::of(b"a"))]));
        changed.push(base);
        let mut unique = changed.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), changed.len());
    }

    proptest::proptest! {
        /// Run, worker and record each read the material from JSON, and must get the same key.
        #[test]
        fn the_key_survives_json(bits: u64) {
            let awkward = [1e-30, 0.1 + 0.2, 5e-324, f64::MAX, f64::from_bits(bits)];
            let mut before = material();
            before.params = json!(awkward.into_iter().filter(|value| value.is_finite()).collect::<Vec<_>>());
            let after: KeyMaterial = serde_json::from_slice(&serde_json::to_vec(&before).unwrap()).unwrap();
            proptest::prop_assert_eq!(after.key(), before.key());
        }
    }

    #[test]
    fn the_order_of_parameters_does_not_change_the_key() {
        let mut other = material();
        other.params = serde_json::from_str(r#"{"temperature": 0.07, "epochs": 3}"#).unwrap();
        assert_eq!(other.key(), material().key());
    }
}
