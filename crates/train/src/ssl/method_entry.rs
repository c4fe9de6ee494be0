//! An entry of the table of methods.

use super::method::{MethodParameters, SslMethod};
use crate::networks::ResNet;
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

type Build = fn(&Value, &ResNet, &mut Parameters, &Stream) -> anyhow::Result<Box<dyn SslMethod>>;

/// An entry of the table of methods: the functions of one parameter type, without the type.
pub(super) struct MethodEntry {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) from_json: fn(Value) -> Result<Value, String>,
    pub(super) build: Build,
    pub(super) check_batch: fn(&Value, usize) -> Result<(), String>,
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The entry of `P`.
pub(super) const fn entry<P: MethodParameters>() -> MethodEntry {
    fn checked<P: MethodParameters>(parameters: &P) -> Result<Value, String> {
        parameters.check()?;
        serde_json::to_value(parameters).map_err(|error| error.to_string())
    }
    MethodEntry {
        name: P::NAME,
        columns: P::COLUMNS,
        from_json: |value| checked(&serde_json::from_value::<P>(value).map_err(|error| error.to_string())?),
        check_batch: |value, pairs| P::deserialize(value).map_err(|error| error.to_string())?.check_batch(pairs),
        build: |value, encoder, parameters, stream| Ok(P::deserialize(value)?.build(encoder, parameters, stream)?),
        schema: P::json_schema,
    }
}
