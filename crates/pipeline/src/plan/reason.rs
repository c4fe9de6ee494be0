//! Reasons for a changed key: one for each part that differs.

use crate::cache::{Digest, KeyInput, KeyMaterial};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A part of a key that differs, old → new.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Reason {
    /// The key schema or the kind differs: nothing else can be compared.
    Incomparable {
        /// `key schema` or `kind`.
        what: &'static str,
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// The program computes this kind differently.
    CodeVersion {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// A parameter; `None` where it is not set.
    Parameter {
        /// Dotted path.
        path: String,
        /// Before.
        old: Option<Value>,
        /// Now.
        new: Option<Value>,
    },
    /// The seed.
    Seed {
        /// Before.
        old: Option<u64>,
        /// Now.
        new: Option<u64>,
    },
    /// An input's content or label.
    Input {
        /// The parameter that names it.
        role: String,
        /// Its position among the inputs of that parameter, if there are several.
        place: Option<usize>,
        /// Before: its label, if the output contains it, and its content.
        old: Option<String>,
        /// Now.
        new: Option<String>,
        /// The content before.
        old_content: Option<Digest>,
        /// The content now, if it is computed.
        new_content: Option<Digest>,
    },
    /// A file of the data set.
    File {
        /// Name inside the data set.
        name: String,
        /// Before.
        old: Option<Digest>,
        /// Now.
        new: Option<Digest>,
    },
}

/// All parts in which `new` differs from `old`, in the order of the key material.
pub fn reasons(old: &KeyMaterial, new: &KeyMaterial) -> Vec<Reason> {
    reasons_so_far(old, new, |_, _| true)
}

/// [`reasons`] if only the inputs marked by `is_made` (role, position) are computed: of the others only number and
/// labels are compared.
pub(super) fn reasons_so_far(
    old: &KeyMaterial,
    new: &KeyMaterial,
    is_made: impl Fn(&str, usize) -> bool,
) -> Vec<Reason> {
    if old.schema != new.schema {
        let (old, new) = (old.schema.to_string(), new.schema.to_string());
        return vec![Reason::Incomparable { what: "key schema", old, new }];
    }
    if old.kind != new.kind {
        return vec![Reason::Incomparable { what: "kind", old: old.kind.clone(), new: new.kind.clone() }];
    }
    let mut reasons = Vec::new();
    if old.code_version != new.code_version {
        reasons.push(Reason::CodeVersion { old: old.code_version, new: new.code_version });
    }
    compare("", Some(&old.params), Some(&new.params), &mut reasons);
    if old.seed != new.seed {
        reasons.push(Reason::Seed { old: old.seed, new: new.seed });
    }
    for role in union(&old.inputs, &new.inputs) {
        let (before, now) = (old.inputs.get(role), new.inputs.get(role));
        let count = before.map_or(0, Vec::len).max(now.map_or(0, Vec::len));
        for place in 0..count {
            let (old, new) = (before.and_then(|list| list.get(place)), now.and_then(|list| list.get(place)));
            let made = is_made(role, place);
            let label = |input: Option<&KeyInput>| input.map(|input| input.label.clone());
            if if made { old != new } else { label(old) != label(new) } {
                let content = |input: &KeyInput| if made { input.content.short() } else { "(not made yet)".to_owned() };
                reasons.push(Reason::Input {
                    role: role.clone(),
                    place: (count > 1).then_some(place),
                    old: old.map(|input| show(input, &input.content.short())),
                    new: new.map(|input| show(input, &content(input))),
                    old_content: old.map(|input| input.content),
                    new_content: new.filter(|_| made).map(|input| input.content),
                });
            }
        }
    }
    for name in union(&old.files, &new.files) {
        let (old, new) = (old.files.get(name).copied(), new.files.get(name).copied());
        if old != new {
            reasons.push(Reason::File { name: name.clone(), old, new });
        }
    }
    reasons
}

fn show(input: &KeyInput, content: &str) -> String {
    match &input.label {
        Some((label, Some(seed))) => format!("{label}@{seed} {content}"),
        Some((label, None)) => format!("{label} {content}"),
        None => content.to_owned(),
    }
}

fn union<'a, T>(a: &'a BTreeMap<String, T>, b: &'a BTreeMap<String, T>) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).collect()
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, reasons: &mut Vec<Reason>) {
    if old == new {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) {
        for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            compare(&path, old.get(name), new.get(name), reasons);
        }
        return;
    }
    reasons.push(Reason::Parameter { path: path.to_owned(), old: old.cloned(), new: new.cloned() });
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or<T: fmt::Display>(value: &Option<T>, absent: &str) -> String {
            value.as_ref().map_or_else(|| absent.to_owned(), T::to_string)
        }
        match self {
            Reason::Incomparable { what, old, new } => write!(f, "{what}: {old} → {new}"),
            Reason::CodeVersion { old, new } => write!(f, "code version: {old} → {new}"),
            Reason::Parameter { path, old, new } => {
                write!(f, "{path}: {} → {}", or(old, "(not set)"), or(new, "(not set)"))
            }
            Reason::Seed { old, new } => write!(f, "seed: {} → {}", or(old, "(none)"), or(new, "(none)")),
            Reason::Input { role, place, old, new, .. } => {
                let place = place.map(|place| format!("[{place}]")).unwrap_or_default();
                write!(f, "input {role}{place}: {} → {}", or(old, "(none)"), or(new, "(none)"))
            }
            Reason::File { name, old, new } => {
                let short = |digest: &Option<Digest>| digest.map(|digest| digest.short());
                write!(f, "file {name}: {} → {}", or(&short(old), "(not there)"), or(&short(new), "(gone)"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KEY_SCHEMA;
    use serde_json::json;

    fn material(params: Value, input: &[u8]) -> KeyMaterial {
        KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "pretrain".into(),
            code_version: 1,
            params,
            seed: Some(0),
            inputs: BTreeMap::from([("patches".into(), vec![KeyInput::all(Digest::of(input))])]),
            files: BTreeMap::new(),
        }
    }

    fn shown(old: &KeyMaterial, new: &KeyMaterial) -> Vec<String> {
        reasons(old, new).iter().map(Reason::to_string).collect()
    }

    #[test]
    fn a_nested_parameter_is_named_with_old_and_new_value() {
        let old = material(json!({"method": {"name": "matssl", "temperature": 0.07}}), b"a");
        let mut new = material(json!({"method": {"name": "matssl", "temperature": 0.1}}), b"a");
        assert_eq!(shown(&old, &new), ["method.temperature: 0.07 → 0.1"]);
        new.params["epochs"] = json!(3);
        assert_eq!(shown(&old, &new), ["epochs: (not set) → 3", "method.temperature: 0.07 → 0.1"]);
        assert!(shown(&old, &old).is_empty());
    }

    #[test]
    fn of_inputs_not_computed_only_number_and_labels_are_compared() {
        let old = material(json!({}), b"a");
        let mut new = material(json!({}), b"b");
        let shown = |new: &KeyMaterial| {
            reasons_so_far(&old, new, |_, place| place > 1).iter().map(Reason::to_string).collect::<Vec<_>>()
        };
        assert!(shown(&new).is_empty());
        let more = [b"c", b"d"].map(|content| KeyInput::all(Digest::of(content)));
        new.inputs.get_mut("patches").unwrap().extend(more);
        assert_eq!(
            shown(&new),
            [
                "input patches[1]: (none) → (not made yet)".to_owned(),
                format!("input patches[2]: (none) → {}", Digest::of(b"d").short()),
            ]
        );
        new.inputs.get_mut("patches").unwrap().truncate(1);
        new.inputs.get_mut("patches").unwrap()[0].label = Some(("mine".into(), Some(3)));
        assert!(shown(&new)[0].ends_with(" → mine@3 (not made yet)"), "{}", shown(&new)[0]);
    }

    #[test]
    fn inputs_files_and_code_are_reasons() {
        let old = material(json!({}), b"a");
        let mut new = material(json!({}), b"b");
        new.code_version = 2;
        new.files.insert("x.tif".into(), Digest::of(b"x"));
        let shown = shown(&old, &new);
        assert_eq!(shown[0], "code version: 1 → 2");
        assert!(shown[1].starts_with("input patches: ") && shown[1].contains(" → "), "{}", shown[1]);
        assert!(shown[2].starts_with("file x.tif: (not there) → "), "{}", shown[2]);
    }
}
