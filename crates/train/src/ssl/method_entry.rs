//! An entry of the table of methods.

use super::method::{MethodParameters, SslMethod};
use crate::networks::Encoder;
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;
use std::fmt::Debug;
use std::sync::Arc;

/// The parameters of one method, whatever their type. Every [`MethodParameters`] is one.
pub(super) trait DecodedMethod: Debug + Send + Sync {
    /// See [`MethodParameters::check_batch`].
    fn check_batch(&self, pairs: usize) -> Result<(), String>;

    /// See [`MethodParameters::build`].
    fn build(
        &self,
        encoder: &Encoder,
        parameters: &mut Parameters,
        stream: &Stream,
    ) -> candle_core::Result<Box<dyn SslMethod>>;
}

impl<P: MethodParameters> DecodedMethod for P {
    fn check_batch(&self, pairs: usize) -> Result<(), String> {
        P::check_batch(self, pairs)
    }

    fn build(
        &self,
        encoder: &Encoder,
        parameters: &mut Parameters,
        stream: &Stream,
    ) -> candle_core::Result<Box<dyn SslMethod>> {
        P::build(self, encoder, parameters, stream)
    }
}

/// Parameters decoded, and as JSON with defaults filled in.
type Decoded = (Arc<dyn DecodedMethod>, Value);

/// An entry of the table of methods: the functions of one parameter type, without the type.
pub(super) struct MethodEntry {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) decode: fn(Value) -> Result<Decoded, String>,
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The entry of `P`.
pub(super) const fn entry<P: MethodParameters>() -> MethodEntry {
    fn decode<P: MethodParameters>(value: Value) -> Result<Decoded, String> {
        let parameters = serde_json::from_value::<P>(value).map_err(|error| error.to_string())?;
        parameters.check()?;
        let json = serde_json::to_value(&parameters).map_err(|error| error.to_string())?;
        Ok((Arc::new(parameters), json))
    }
    MethodEntry { name: P::NAME, columns: P::COLUMNS, decode: decode::<P>, schema: P::json_schema }
}
