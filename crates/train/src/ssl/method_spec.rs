//! The choice of a method in an experiment.

use super::method::SslMethod;
use super::method_entry::DecodedMethod;
use super::methods::{entries, find, names};
use crate::networks::Encoder;
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::sync::Arc;

/// A method by name, with all its parameters, defaults filled in.
#[derive(Clone, Debug)]
pub struct MethodSpec {
    name: &'static str,
    method: Arc<dyn DecodedMethod>,
    /// The same parameters as a JSON object.
    parameters: Value,
}

impl PartialEq for MethodSpec {
    fn eq(&self, other: &MethodSpec) -> bool {
        (self.name, &self.parameters) == (other.name, &other.parameters)
    }
}

impl MethodSpec {
    /// The name in the experiment file.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// See [`MethodParameters::check_batch`](super::MethodParameters::check_batch).
    ///
    /// # Errors
    /// One line that says what would be right.
    pub fn check_batch(&self, pairs: usize) -> Result<(), String> {
        self.method.check_batch(pairs)
    }

    /// All columns that the method may add to a history.
    pub fn columns(&self) -> &'static [&'static str] {
        find(self.name).map_or(&[], |method| method.columns)
    }

    /// Makes the method's heads; see [`MethodParameters::build`](super::MethodParameters::build).
    ///
    /// # Errors
    /// If a name is taken.
    pub fn build(
        &self,
        encoder: &Encoder,
        parameters: &mut Parameters,
        stream: &Stream,
    ) -> candle_core::Result<Box<dyn SslMethod>> {
        self.method.build(encoder, parameters, stream)
    }
}

/// As JSON: one object with the name first.
impl Serialize for MethodSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serde_json::Map::from_iter([("name".to_owned(), self.name.into())]);
        if let Value::Object(parameters) = &self.parameters {
            all.extend(parameters.clone());
        }
        all.serialize(serializer)
    }
}

/// From a name, or from an object with a name.
impl<'de> Deserialize<'de> for MethodSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let name = match &mut value {
            Value::Object(table) => table.remove("name").ok_or_else(|| D::Error::missing_field("name"))?,
            _ => std::mem::replace(&mut value, Value::Object(Default::default())),
        };
        let name = name.as_str().ok_or_else(|| D::Error::custom("the name of a method is a string"))?;
        let method = find(name).ok_or_else(|| {
            D::Error::custom(format!("there is no method {name:?}; there are {}", names().join(", ")))
        })?;
        let (decoded, parameters) = (method.decode)(value).map_err(D::Error::custom)?;
        Ok(MethodSpec { name: method.name, method: decoded, parameters })
    }
}

/// A name, or a table with a name: each method's own.
impl JsonSchema for MethodSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Method".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tables = entries().map(|method| {
            let mut schema = (method.schema)(generator);
            let about = schema.get("description").cloned().unwrap_or_default();
            if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                properties.insert("name".into(), serde_json::json!({ "const": method.name, "description": about }));
            }
            if let Some(required) =
                schema.ensure_object().entry("required").or_insert_with(|| Value::Array(Vec::new())).as_array_mut()
            {
                required.push("name".into());
            }
            schema
        });
        let tables: Vec<Schema> = tables.collect();
        let mut any = vec![json_schema!({ "enum": names() })];
        any.extend(tables);
        json_schema!({
            "title": "the name of a method, or a table with its `name`",
            "description": "A self-supervised method: its name, or a table with its name.",
            "anyOf": any,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_pipeline::experiment::{self, ParamError};

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Stage {
        method: MethodSpec,
    }

    /// Reads `method = …` as an experiment does; of an error the piece that is underlined, and what is said of it.
    fn read(text: &str) -> Result<MethodSpec, (String, String)> {
        let stage = experiment::deserialize::<Stage>(toml::de::DeTable::parse(text).unwrap());
        stage.map(|stage| stage.method).map_err(|errors| match &errors[..] {
            [ParamError::Mismatch(mismatch)] => (text[mismatch.span.clone()].to_owned(), mismatch.to_string()),
            [ParamError::Refused { span: Some(span), message }] => (text[span.clone()].to_owned(), message.clone()),
            errors => panic!("{text}: {errors:?}"),
        })
    }

    #[test]
    fn a_name_alone_has_all_defaults_and_survives_json() {
        let spec = read("method = 'matssl'").unwrap();
        assert_eq!(read("method = { name = 'matssl' }").unwrap(), spec);
        let json = serde_json::to_string(&spec).unwrap();
        let expected = serde_json::json!({
            "name": "matssl", "temperature": 0.07, "gate": "paper", "head": { "hidden": 2048, "output": 128 }
        });
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), expected);
        assert_eq!(serde_json::from_str::<MethodSpec>(&json).unwrap(), spec);
        assert_eq!(serde_json::from_str::<MethodSpec>("\"matssl\"").unwrap(), spec);
        assert_eq!(read("method = 'simclr'").unwrap().name(), "simclr");
        let unknown = serde_json::from_str::<MethodSpec>("\"dino\"").unwrap_err().to_string();
        assert!(unknown.starts_with("there is no method \"dino\"; there are matssl, "), "{unknown}");
    }

    #[test]
    fn errors_point_at_their_token() {
        let cases = [
            ("method = 'matsl'", "'matsl'", "unknown value `matsl` for `method`; expected one of `matssl`"),
            ("method = { name = 'dino' }", "'dino'", "unknown value `dino` for `name`; expected one of `matssl`"),
            (
                "method = 3",
                "3",
                "expected the name of a method, or a table with its `name`, found the whole number `3`",
            ),
            ("method = { name = 'matssl', tau = 1.0 }", "tau", "unknown key `tau`; expected one of `gate`"),
            ("method = { gate = 'papr', name = 'matssl' }", "'papr'", "unknown value `papr` for `gate`"),
            ("method = { name = 'simclr', gate = 'code' }", "gate", "unknown key `gate`"),
            ("method = { name = 'matssl', head = { hidden = 0 } }", "0", "expected a whole number above 0"),
            ("method = { name = 'simclr', temperature = nan }", "nan", "expected a finite number"),
            (
                "method = { gate = 'code' }",
                "{ gate = 'code' }",
                "missing `name`; `name` is needed here; expected one of",
            ),
            (
                "method = { name = 'matssl', temperature = 0.0 }",
                "{ name = 'matssl', temperature = 0.0 }",
                "temperature = 0: a temperature is above 0, as 0.07",
            ),
        ];
        for (text, underlined, message) in cases {
            let error = read(text).unwrap_err();
            assert!(error.1.contains(message), "{text}: {error:?}");
            assert_eq!(error.0, underlined, "{text}");
        }
    }
}
