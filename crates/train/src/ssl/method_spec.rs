//! The choice of a method in an experiment.

use super::method::SslMethod;
use super::method_entry::MethodEntry;
use super::methods::{entries, find, names};
use crate::networks::ResNet;
use matssl_base::random::Stream;
use matssl_pipeline::experiment::{ParamError, SpannedTable};
use matssl_tensor::Parameters;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::sync::LazyLock;
use toml::de::DeValue;

/// A method by name, with all its parameters, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodSpec {
    name: &'static str,
    /// A JSON object.
    parameters: Value,
}

impl MethodSpec {
    /// The name in the experiment file.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Reads `"matssl"` or `{ name = "matssl", … }`; what is wrong points at its own token.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn from_toml(value: toml::Spanned<DeValue<'_>>) -> Result<Self, Vec<ParamError>> {
        let span = value.span();
        let mut table = match value.into_inner() {
            DeValue::Table(table) => table,
            other => {
                let name = toml::Spanned::new(span.clone(), other);
                return MethodSpec::new(name_from_toml(name)?, toml::Spanned::new(span, Default::default()));
            }
        };
        match table.remove("name") {
            Some(name) => MethodSpec::new(name_from_toml(name)?, toml::Spanned::new(span, table)),
            None => Err(vec![ParamError::Check {
                param: "method",
                message: format!("the method has no `name`; it is one of {}", names().join(", ")),
            }]),
        }
    }

    fn new(name: MethodName, table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        Ok(MethodSpec { name: name.0.name, parameters: (name.0.from_toml)(table)? })
    }

    /// See [`MethodParameters::check_batch`](super::MethodParameters::check_batch).
    ///
    /// # Errors
    /// One line that says what would be right.
    pub fn check_batch(&self, pairs: usize) -> Result<(), String> {
        find(self.name).map_or(Ok(()), |method| (method.check_batch)(&self.parameters, pairs))
    }

    /// Makes the method's heads; see [`MethodParameters::build`](super::MethodParameters::build).
    ///
    /// # Errors
    /// If a name is taken.
    pub fn build(
        &self,
        encoder: &ResNet,
        parameters: &mut Parameters,
        stream: &Stream,
    ) -> anyhow::Result<Box<dyn SslMethod>> {
        let method = find(self.name).ok_or_else(|| anyhow::anyhow!("there is no method {}", self.name))?;
        (method.build)(&self.parameters, encoder, parameters, stream)
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

/// From a name, or from an object with a name. Loses TOML's spans: [`MethodSpec::from_toml`] keeps them.
impl<'de> Deserialize<'de> for MethodSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let name = match &mut value {
            Value::Object(table) => table.remove("name").ok_or_else(|| D::Error::missing_field("name"))?,
            _ => std::mem::replace(&mut value, Value::Object(Default::default())),
        };
        let method = MethodName::deserialize(name).map_err(D::Error::custom)?.0;
        Ok(MethodSpec { name: method.name, parameters: (method.from_json)(value).map_err(D::Error::custom)? })
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
            schema
        });
        let tables: Vec<Schema> = tables.collect();
        let mut any = vec![json_schema!({ "enum": names() })];
        any.extend(tables);
        json_schema!({ "description": "A self-supervised method: its name, or a table with its name.", "anyOf": any })
    }
}

struct MethodName(&'static MethodEntry);

impl<'de> Deserialize<'de> for MethodName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An error from inside a visitor is given its place in the file.
        struct Name;
        impl Visitor<'_> for Name {
            type Value = MethodName;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a method")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<MethodName, E> {
                static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(names);
                find(name).map(MethodName).ok_or_else(|| E::unknown_variant(name, &NAMES))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

fn name_from_toml(name: toml::Spanned<DeValue<'_>>) -> Result<MethodName, Vec<ParamError>> {
    MethodName::deserialize(toml::de::ValueDeserializer::from(name)).map_err(|error| vec![ParamError::Toml(error)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::DeTable;

    /// Reads `method = …`, an experiment's way.
    fn read(text: &str) -> Result<MethodSpec, Vec<ParamError>> {
        let mut table = DeTable::parse(text).unwrap();
        MethodSpec::from_toml(table.get_mut().remove("method").unwrap())
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
    }

    #[test]
    fn errors_point_at_their_token() {
        let cases = [
            ("method = 'matsl'", "'matsl'", "unknown variant `matsl`, expected one of"),
            ("method = { name = 'dino' }", "'dino'", "unknown variant `dino`"),
            ("method = 3", "3", "invalid type: integer `3`, expected the name of a method"),
            ("method = { name = 'matssl', tau = 1.0 }", "tau", "unknown field `tau`, expected one of"),
            ("method = { gate = 'papr', name = 'matssl' }", "'papr'", "unknown variant `papr`, expected one of"),
            ("method = { name = 'simclr', gate = 'code' }", "gate", "unknown field `gate`"),
            ("method = { name = 'matssl', head = { hidden = 0 } }", "0", "expected a nonzero"),
            ("method = { name = 'simclr', temperature = nan }", "nan", "expected a finite number"),
        ];
        for (text, underlined, message) in cases {
            let errors = read(text).unwrap_err();
            let [ParamError::Toml(error)] = &errors[..] else { panic!("{text}: {errors:?}") };
            assert!(error.message().contains(message), "{text}: {error}");
            assert_eq!(&text[error.span().unwrap()], underlined, "{text}");
        }
        let errors = read("method = { name = 'matssl', temperature = 0.0 }").unwrap_err();
        assert!(
            matches!(&errors[..], [ParamError::Check { param: "method", message }] if message.contains("above 0")),
            "{errors:?}"
        );
        assert!(matches!(read("method = { gate = 'code' }"), Err(errors) if errors.len() == 1));
    }
}
