//! From a TOML file to typed, expanded, resolved stages. No tensors here, and no I/O but the file itself.
//!
//! `document` parses and keeps spans, `expand` multiplies matrices and seeds, `resolve` turns names into edges,
//! `diagnostic` says what is wrong with all of it at once. What the kinds of stages are called and which parameters
//! they take is not known here: it comes in as a [`Vocabulary`].

pub mod vocabulary;
pub use vocabulary::{Input, KindSpec, MaybeInput, ParamError, ReferenceSpec, Section, SpannedTable, Vocabulary};

/// Deserialises a table of parameters; unknown keys and wrong types carry their place in the file.
///
/// # Errors
/// All that is wrong with the table, not only the first.
pub fn deserialize<T: serde::de::DeserializeOwned>(table: SpannedTable<'_>) -> Result<T, Vec<ParamError>> {
    T::deserialize(toml::de::Deserializer::from(table)).map_err(|error| vec![ParamError::Toml(error)])
}
