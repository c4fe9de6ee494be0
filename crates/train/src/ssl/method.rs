//! What a self-supervised method is, and how it is named in an experiment.

use super::{METHODS, Online};
use crate::networks::ResNet;
use candle_core::{DType, Tensor};
use matssl_base::random::Stream;
use matssl_pipeline::experiment::{self, ParamError, SpannedTable};
use matssl_tensor::Parameters;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use std::fmt;
use std::sync::LazyLock;
use toml::de::DeValue;

/// Parameters of a method, as the user writes them in `method = { name = "…", … }`.
pub trait MethodParameters: Serialize + DeserializeOwned + JsonSchema {
    /// The word in the experiment file.
    const NAME: &'static str;
    /// All columns that the method may add to the history: [`SslMethod::parts`] and [`SslMethod::columns`].
    const COLUMNS: &'static [&'static str] = &[];

    /// What serde cannot say about the parameters.
    ///
    /// # Errors
    /// One line that says what would be right.
    fn check(&self) -> Result<(), String>;

    /// What does not fit batches of `pairs` pairs of views.
    ///
    /// # Errors
    /// One line that says what would be right.
    fn check_batch(&self, _pairs: usize) -> Result<(), String> {
        Ok(())
    }

    /// Inserts what the method trains beside the encoder into `parameters`, drawn from `stream`. State that a method
    /// carries from step to step belongs there too, as buffers: then it is in every checkpoint.
    ///
    /// # Errors
    /// If a name is taken.
    fn build(
        &self,
        encoder: &ResNet,
        parameters: &mut Parameters,
        stream: &Stream,
    ) -> candle_core::Result<Box<dyn SslMethod>>;
}

/// A method under training: heads and loss. Whatever it carries from step to step (a momentum encoder, a queue) lies in
/// the parameters as buffers, so that it is in every checkpoint.
pub trait SslMethod: Send {
    /// The loss of a batch of two views, each `[batch, height, width, 3]`, normalised, at one step of a training. The
    /// caller takes the loss back through `online`.
    ///
    /// # Errors
    /// If shapes do not fit.
    fn loss(&self, online: &mut Online<'_>, views: &[Tensor; 2], moment: Moment) -> candle_core::Result<MethodLoss>;

    /// Passes through the encoder whose tensors are kept for one common backward pass: for the estimate of memory.
    fn recorded_passes(&self) -> u64 {
        2
    }

    /// Bytes that heads and loss work in on `batch` pairs of views of `size` pixels, where that is more than a vector a view:
    /// for the same estimate.
    fn loss_bytes(&self, _batch: usize, _size: usize) -> u64 {
        0
    }

    /// Names of [`MethodLoss::parts`]: columns of the history.
    fn parts(&self) -> &'static [&'static str] {
        &[]
    }

    /// Columns of the history beyond those that every method has.
    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    /// Their values at the end of an epoch.
    ///
    /// # Errors
    /// If a parameter is missing.
    fn values(&self, _parameters: &Parameters) -> candle_core::Result<Vec<f64>> {
        Ok(Vec::new())
    }
}

/// Where a training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Steps taken, over all epochs.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The stage's, for what a method draws in a step.
    pub seed: u64,
}

/// What a method makes of a batch.
pub struct MethodLoss {
    /// Scalar, with candle's graph behind it.
    pub loss: Tensor,
    /// One for each of [`SslMethod::parts`].
    pub parts: Vec<f64>,
    /// The two views' embeddings `[batch, dimensions]`, of which row i belongs to one image: for the [`Watch`](super::Watch).
    pub embeddings: [Tensor; 2],
}

/// A part of a loss as a number.
pub(super) fn value(loss: &Tensor) -> candle_core::Result<f64> {
    loss.detach().to_dtype(DType::F64)?.to_scalar()
}

/// For [`MethodParameters::check`] of contrastive methods.
pub(super) fn check_temperature(temperature: f64) -> Result<(), String> {
    // Also false for NaN.
    if temperature > 0.0 && temperature.is_finite() {
        Ok(())
    } else {
        Err(format!("temperature = {temperature}: a temperature is above 0, as 0.07"))
    }
}

/// Likewise for a part of something, from 0 to 1.
pub(super) fn check_part(name: &str, part: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&part) { Ok(()) } else { Err(format!("{name} = {part} is out of range: 0 to 1")) }
}

/// Likewise for the weight of a part of a loss.
pub(super) fn check_weight(name: &str, weight: f64) -> Result<(), String> {
    if weight >= 0.0 && weight.is_finite() {
        Ok(())
    } else {
        Err(format!("{name} = {weight}: a weight is a number from 0 on"))
    }
}

type Build = fn(&Value, &ResNet, &mut Parameters, &Stream) -> anyhow::Result<Box<dyn SslMethod>>;

/// A row of the table of methods: one type's functions with the type erased.
pub(super) struct Method {
    name: &'static str,
    columns: &'static [&'static str],
    from_json: fn(Value) -> Result<Value, String>,
    from_toml: fn(SpannedTable<'_>) -> Result<Value, Vec<ParamError>>,
    build: Build,
    check_batch: fn(&Value, usize) -> Result<(), String>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The row of `P`.
pub(super) const fn method<P: MethodParameters>() -> Method {
    fn checked<P: MethodParameters>(parameters: &P) -> Result<Value, String> {
        parameters.check()?;
        serde_json::to_value(parameters).map_err(|error| error.to_string())
    }
    Method {
        name: P::NAME,
        columns: P::COLUMNS,
        from_json: |value| checked(&serde_json::from_value::<P>(value).map_err(|error| error.to_string())?),
        from_toml: |table| {
            checked(&experiment::deserialize::<P>(table)?)
                .map_err(|message| vec![ParamError::Check { param: "method", message }])
        },
        check_batch: |value, pairs| P::deserialize(value).map_err(|error| error.to_string())?.check_batch(pairs),
        build: |value, encoder, parameters, stream| Ok(P::deserialize(value)?.build(encoder, parameters, stream)?),
        schema: P::json_schema,
    }
}

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

    /// See [`MethodParameters::check_batch`].
    ///
    /// # Errors
    /// One line that says what would be right.
    pub fn check_batch(&self, pairs: usize) -> Result<(), String> {
        find(self.name).map_or(Ok(()), |method| (method.check_batch)(&self.parameters, pairs))
    }

    /// Makes the method's heads; see [`MethodParameters::build`].
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
        let tables = METHODS.iter().map(|method| {
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

struct MethodName(&'static Method);

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

fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// The names of all methods.
pub fn names() -> Vec<&'static str> {
    METHODS.iter().map(|method| method.name).collect()
}

/// All columns that methods may add to a history.
pub fn columns() -> Vec<&'static str> {
    METHODS.iter().flat_map(|method| method.columns).copied().collect()
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
    fn what_is_wrong_is_underlined() {
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
