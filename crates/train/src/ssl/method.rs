//! What a self-supervised method is, and how it is named in an experiment.

use super::{METHODS, Online};
use candle_core::{DType, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, ResNet};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;

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
    fn what_is_wrong_is_underlined() {
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
