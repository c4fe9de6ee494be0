//! As much of JSON Schema (2020-12) as `matssl-run schema` uses. A keyword or pattern that it does not know is a fault,
//! so that none is passed over. (The crate `jsonschema` would bring thirty others.)

use serde_json::{Map, Value};

/// What is wrong with `value`, each with its place.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, schema, value, "", &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    let schema = match schema {
        Value::Bool(true) => return,
        Value::Bool(false) => return faults.push(format!("{place}: nothing may stand here")),
        Value::Object(schema) => schema,
        other => return faults.push(format!("{place}: the schema is {other}")),
    };
    for (keyword, wanted) in schema {
        let right = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "writeOnly" => true,
            "$ref" => {
                let target = wanted.as_str().and_then(|path| root.pointer(path.strip_prefix('#')?));
                match target {
                    Some(target) => check(root, target, value, place, faults),
                    None => faults.push(format!("{place}: the schema has no {wanted}")),
                }
                true
            }
            "anyOf" => fitting(root, wanted, value) > 0,
            "oneOf" => fitting(root, wanted, value) == 1,
            "const" => value == wanted,
            "enum" => wanted.as_array().is_some_and(|words| words.contains(value)),
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|wanted| is(value, wanted)),
                wanted => is(value, wanted),
            },
            "minimum" => value.as_f64().is_none_or(|number| number >= number_of(wanted)),
            "exclusiveMinimum" => value.as_f64().is_none_or(|number| number > number_of(wanted)),
            "maximum" => value.as_f64().is_none_or(|number| number <= number_of(wanted)),
            "minItems" => value.as_array().is_none_or(|items| items.len() as f64 >= number_of(wanted)),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as f64 <= number_of(wanted)),
            "minProperties" => value.as_object().is_none_or(|table| table.len() as f64 >= number_of(wanted)),
            "uniqueItems" => {
                value.as_array().is_none_or(|items| (1..items.len()).all(|at| !items[..at].contains(&items[at])))
            }
            "pattern" => match (wanted.as_str(), value.as_str()) {
                (Some(pattern), Some(text)) => fits(pattern, text),
                _ => true,
            },
            "required" => value.as_object().is_none_or(|table| {
                wanted
                    .as_array()
                    .is_some_and(|keys| keys.iter().all(|key| key.as_str().is_some_and(|key| table.contains_key(key))))
            }),
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{place}/{at}"), faults);
                }
                true
            }
            "properties" | "additionalProperties" => {
                members(root, schema, keyword, value, place, faults);
                true
            }
            "propertyNames" => {
                for key in value.as_object().into_iter().flat_map(Map::keys) {
                    check(root, wanted, &Value::from(key.as_str()), &format!("{place}/{key}"), faults);
                }
                true
            }
            unknown => {
                faults.push(format!("this validator does not know `{unknown}`"));
                true
            }
        };
        if !right {
            faults.push(format!("{place}: {value} is not as `{keyword}` says"));
        }
    }
}

fn members(
    root: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
    value: &Value,
    place: &str,
    faults: &mut Vec<String>,
) {
    let known = |key: &str| schema.get("properties").and_then(|properties| properties.get(key));
    for (key, value) in value.as_object().into_iter().flatten() {
        let wanted = match (keyword, known(key)) {
            ("properties", wanted) => wanted,
            (_, None) => schema.get("additionalProperties"),
            _ => None,
        };
        if let Some(wanted) = wanted {
            check(root, wanted, value, &format!("{place}/{key}"), faults);
        }
    }
}

fn fitting(root: &Value, schemas: &Value, value: &Value) -> usize {
    let fits = |schema: &&Value| {
        let mut faults = Vec::new();
        check(root, schema, value, "", &mut faults);
        assert!(!faults.iter().any(|fault| fault.contains("this validator")), "{faults:?}");
        faults.is_empty()
    };
    schemas.as_array().into_iter().flatten().filter(fits).count()
}

fn number_of(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn is(value: &Value, wanted: &Value) -> bool {
    match wanted.as_str().unwrap_or_default() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("this validator knows no type {other:?}"),
    }
}

/// The patterns that the schema has.
fn fits(pattern: &str, text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let quantity = |units: &[&str]| {
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
        !number.is_empty() && units.contains(&unit.trim().to_lowercase().as_str())
    };
    match pattern {
        "^[A-Za-z0-9_-]{1,100}$" => (1..=100).contains(&text.len()) && text.chars().all(word),
        "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$" => {
            (1..=100).contains(&text.len()) && !text.starts_with('.') && text.chars().all(|c| word(c) || c == '.')
        }
        r"^\s*[0-9.]+\s*([sS]|[mM]([iI][nN])?|[hH]|[dD]|[wW])\s*$" => quantity(&["s", "m", "min", "h", "d", "w"]),
        r"^\s*[0-9.]+\s*([kKmMgGtT]([iI]?[bB])?|[bB])\s*$" => {
            quantity(&["k", "kb", "kib", "m", "mb", "mib", "g", "gb", "gib", "t", "tb", "tib", "b"])
        }
        other => panic!("this validator does not know the pattern {other}"),
    }
}
