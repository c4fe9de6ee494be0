//! The JSON Schema of experiment files, for editors: which keys there are, of which types, with their defaults.
//!
//! It refuses misspelt keys and wrong types. It does not require keys: a stage may have them from its `matrix`, or from
//! the file that it extends. Relations between parameters are checked by the program only.

use crate::parameters::vocabulary::{ReferenceSpec, Section};
use crate::stage::{Kind, Kinds};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema (draft 2020-12) of a file with the stages of `vocabulary`.
pub fn schema(vocabulary: &Kinds) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut definitions = Map::new();
    for spec in vocabulary {
        definitions.insert(spec.name.to_string(), family(spec, &mut generator));
    }
    // Types that kinds share.
    for (name, mut shared) in generator.take_definitions(true) {
        tidy(&mut shared);
        definitions.insert(name, shared);
    }
    definitions.insert("limits".into(), limits());
    let of = |section: Section| {
        let kinds = vocabulary.iter().filter(move |spec| spec.section == section);
        kinds.map(|spec| json!({ "$ref": format!("#/$defs/{}", spec.name) })).collect::<Vec<_>>()
    };
    let named = |section, about: &str| {
        json!({
            "description": about, "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9_-]{1,100}$" },
            "additionalProperties": { "anyOf": of(section) },
        })
    };
    let listed =
        |section, about: &str| json!({ "description": about, "type": "array", "items": { "anyOf": of(section) } });
    let file_name = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$";
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Experiment of matssl-run",
        "type": "object",
        "properties": {
            "name": { "description": "The name of the folder for its reports.", "type": "string", "pattern": file_name },
            "title": { "description": "The title of its reports; the name by default.", "type": "string" },
            "seeds": {
                "description": "Each stage that draws at random is repeated for each of these.",
                "type": "array", "items": { "type": "integer", "minimum": 0 }, "minItems": 1, "uniqueItems": true,
                "default": [0],
            },
            "max_stages": {
                "description": "Maximum number of stages: an experiment with more is refused, so that no sweep grows by accident.",
                "type": "integer", "minimum": 1, "default": super::document::MOST_STAGES,
            },
            "extends": {
                "description": "Another experiment file, whose values this one overrides. A relative path starts at the folder \
                    of this file. Tables are merged key by key, unless their `name`, `kind` or `format` differs; a \
                    `matrix.KEY`, a list or any other value replaces the old one.",
                "type": "string",
            },
            "remove": {
                "description": "Parts of the extended file that are removed, as `stages.x` or `tables.y`.",
                "type": "array", "items": { "type": "string" },
            },
            "datasets": named(Section::Datasets, "Data sets as downloaded; the images stay where they are."),
            "stages": named(Section::Stages, "The stages; `kind` says what each does."),
            "tables": listed(Section::Tables, "Tables of scores."),
            "data_tables": listed(Section::DataTables, "Tables of data sets: images, classes, numbers of patches."),
            "figures": listed(Section::Figures, "Curves of metrics over the epochs, confusion matrices, reliability diagrams."),
            "overlays": listed(Section::Overlays, "Images of predictions beside the ground truth."),
            "models": listed(Section::Models, "Trained models as folders that stand by themselves."),
            "files": listed(Section::Files, "Files of stages, copied to the reports."),
        },
        "required": ["name"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// The table of a stage: the parameters of its kind, and the keys that every stage has.
fn family(spec: &Kind, generator: &mut SchemaGenerator) -> Value {
    let mut schema = (spec.schema)(generator).to_value();
    // A kind whose parameters are of another type refers to that type.
    while let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        schema = generator.definitions().get(name).cloned().unwrap_or_default();
    }
    tidy(&mut schema);
    let about = schema.get("description").cloned().unwrap_or_default();
    let mut properties = match schema.get_mut("properties").map(Value::take) {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    for reference in spec.references {
        if let Some(property) = properties.get_mut(reference.param) {
            refer(property, reference);
        }
    }
    if matches!(spec.section, Section::Stages | Section::Datasets) {
        let matrix = matrix(spec, &properties);
        properties.insert("matrix".into(), matrix);
        for word in super::limits::WORDS {
            properties.insert(word.into(), json!({ "$ref": format!("#/$defs/limits/properties/{word}") }));
        }
    }
    if spec.section == Section::Stages {
        properties.insert("kind".into(), json!({ "const": spec.name, "description": about }));
    }
    json!({ "description": about, "type": "object", "properties": properties, "additionalProperties": false })
}

/// A parameter that names stages.
fn refer(property: &mut Value, reference: &ReferenceSpec) {
    let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
    let about = format!("{about}\n\nNames a stage of kind {}.", crate::parameters::wording::or_list(reference.kinds));
    let name = json!({ "type": "string" });
    let names = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    let mut any = vec![name.clone()];
    if reference.many || reference.several_with.is_some() {
        any.push(names.clone());
        any.push(json!({ "type": "object", "additionalProperties": { "anyOf": [name, names] } }));
    }
    let is_name = |schema: &Value| schema.get("type") == name.get("type");
    if let Some(Value::Array(parts)) = property.get_mut("anyOf") {
        // Of `MaybeInput`: the name of a stage, or a value in its place.
        any.extend(parts.drain(..).filter(|part| !is_name(part)));
    } else if reference.optional && !is_name(property) {
        any.push(property.take());
    }
    *property = json!({ "description": about.trim(), "anyOf": any });
}

/// `matrix`: for each parameter a list, or a table of label → value.
fn matrix(spec: &Kind, properties: &Map<String, Value>) -> Value {
    let value = |param: &str| json!({ "$ref": format!("#/$defs/{}/properties/{param}", spec.name) });
    let mut axes: Map<String, Value> = properties
        .keys()
        .map(|param| {
            let list = json!({ "type": "array", "items": value(param), "minItems": 1 });
            let table = json!({ "type": "object", "additionalProperties": value(param), "minProperties": 1 });
            (param.clone(), json!({ "anyOf": [list, table] }))
        })
        .collect();
    let mut member: Map<String, Value> = properties.keys().map(|param| (param.clone(), value(param))).collect();
    member.insert("name".into(), json!({ "description": "The name of this member.", "type": "string" }));
    axes.insert(
        "include".into(),
        json!({
            "description": "Members in addition to the combinations.",
            "type": "array", "items": { "type": "object", "properties": member, "additionalProperties": false },
        }),
    );
    axes.insert(
        "exclude".into(),
        json!({
            "description": "Combinations to leave out, by the labels of their values (`*` and `?` match).",
            "type": "array", "items": { "type": "object" },
        }),
    );
    json!({
        "description": "One stage for each combination of these values. A list, or a table of label → value, for each \
            parameter.",
        "type": "object", "properties": axes, "additionalProperties": false,
    })
}

/// [`Limits`](super::Limits).
fn limits() -> Value {
    json!({ "type": "object", "properties": {
        "timeout": {
            "description": "Maximum time of one attempt, as \"2 h\" (s, min, h, d, w), or a number of seconds.",
            "anyOf": [
                { "type": "string", "pattern": r"^\s*[0-9.]+\s*([sS]|[mM]([iI][nN])?|[hH]|[dD]|[wW])\s*$" },
                { "type": "number", "exclusiveMinimum": 0 },
            ],
        },
        "retries": { "description": "Attempts after the first.", "type": "integer", "minimum": 0, "maximum": 100 },
        "threads": { "description": "Maximum number of threads.", "type": "integer", "minimum": 1 },
        "memory": {
            "description": "Memory that it is expected to need, as \"4 GiB\" (GiB = 2³⁰, GB = 10⁹).",
            "type": "string", "pattern": r"^\s*[0-9.]+\s*([kKmMgGtT]([iI]?[bB])?|[bB])\s*$",
        },
    } })
}

/// Removes what does not hold for experiment files: null, which TOML lacks; required keys, which another file may give;
/// and Rust's types of numbers.
fn tidy(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    schema.remove("required");
    schema.remove("format");
    schema.remove("$schema");
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|word| word != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            schema.insert("type".into(), one);
        }
    }
    for (key, value) in schema.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "$defs", Value::Object(parts)) => parts.values_mut().for_each(tidy),
            ("anyOf" | "oneOf" | "allOf", Value::Array(parts)) => {
                parts.retain(|part| *part != json!({ "type": "null" }));
                parts.iter_mut().for_each(tidy);
            }
            ("items" | "additionalProperties", part) => tidy(part),
            _ => {}
        }
    }
}
