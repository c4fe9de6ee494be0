//! Facts about kinds of stages for the front end, which does not import them.

use super::mismatch::Mismatch;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// The section of the experiment file for a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[stages.NAME]` with `kind = "…"`.
    Stages,
    /// `[datasets.NAME]`; the kind is implied.
    Datasets,
    /// `[[tables]]`; the kind is implied, the stage is named after `file`.
    Tables,
    /// `[[data_tables]]`, likewise.
    DataTables,
    /// `[[figures]]`, likewise.
    Figures,
    /// `[[overlays]]`, likewise.
    Overlays,
    /// `[[models]]`, likewise.
    Models,
    /// `[[files]]`, likewise.
    Files,
}

impl Section {
    /// Whether the outputs of its stages are results: copied out of the cache, and shown on the page.
    pub fn is_report(self) -> bool {
        match self {
            Section::Stages | Section::Datasets => false,
            Section::Tables
            | Section::DataTables
            | Section::Figures
            | Section::Overlays
            | Section::Models
            | Section::Files => true,
        }
    }
}

/// A parameter that names other stages.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceSpec {
    /// The parameter, e.g. `"patches"`; also the role of the inputs it yields.
    pub param: &'static str,
    /// Kinds of stages that it may name.
    pub kinds: &'static [&'static str],
    /// Whether it may name several stages (a list, a glob, or a table of label → name); otherwise exactly one.
    pub many: bool,
    /// Whether it may be left out, or hold a value that is no reference (an inline table such as `{ weights = "random"
    /// }`).
    pub optional: bool,
    /// Whether a string may be a path in place of a name: one with a `/`, or that ends in `.safetensors`, as no name of a stage
    /// does.
    pub paths: bool,
    /// Whether it takes all seeds of the stages that it names (tables, figures); otherwise its stage is repeated for
    /// each seed.
    pub all_seeds: bool,
    /// The parameter with which it may name several stages, e.g. `"ensemble"`, if it otherwise names one.
    pub several_with: Option<&'static str>,
    /// A parameter and its value with which it may name several stages, too.
    pub several_if: Option<(&'static str, &'static str)>,
}

impl ReferenceSpec {
    /// A parameter that names exactly one stage, of one of `kinds`.
    pub const fn one(param: &'static str, kinds: &'static [&'static str]) -> Self {
        ReferenceSpec {
            param,
            kinds,
            many: false,
            optional: false,
            paths: false,
            all_seeds: false,
            several_with: None,
            several_if: None,
        }
    }

    /// A parameter that names one or more stages.
    pub const fn many(param: &'static str, kinds: &'static [&'static str]) -> Self {
        ReferenceSpec { many: true, ..Self::one(param, kinds) }
    }

    /// The parameter may be left out, or hold another value.
    pub const fn or_value(self) -> Self {
        ReferenceSpec { optional: true, ..self }
    }

    /// The parameter may be left out, or hold a path.
    pub const fn or_path(self) -> Self {
        ReferenceSpec { optional: true, paths: true, ..self }
    }

    /// Whether `text` is a value of its own, not the name of a stage.
    pub fn is_path(&self, text: &str) -> bool {
        self.paths && (text.contains('/') || text.ends_with(".safetensors"))
    }

    /// The parameter may name several stages where `parameter` is set.
    pub const fn several_with(self, parameter: &'static str) -> Self {
        ReferenceSpec { several_with: Some(parameter), ..self }
    }

    /// The parameter may name several stages where `parameter` is `word`, too.
    pub const fn several_if(self, parameter: &'static str, word: &'static str) -> Self {
        ReferenceSpec { several_if: Some((parameter, word)), ..self }
    }

    /// The parameter takes all seeds of the stages that it names.
    pub const fn of_all_seeds(self) -> Self {
        ReferenceSpec { all_seeds: true, ..self }
    }
}

/// How a stage is divided into several: `count = 5` stands for five stages with `index = 1` to `index = 5`, whose names end in
/// `.index1` to `.index5`. A stage that sets `index` itself is only this part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// The parameter with the number of parts, e.g. `"folds"`.
    pub count: &'static str,
    /// The parameter with the number of one part, from 1, e.g. `"fold"`.
    pub index: &'static str,
}

impl Division {
    /// Largest number of parts.
    pub const MOST: usize = 20;
}

/// The parameter that names an input, and the input's label: its own name, or the one given in the file.
pub type LabelledInput<'a> = (&'static str, &'a str);

/// A TOML table with the location of each key and value in the file.
pub type SpannedTable<'i> = toml::Spanned<toml::de::DeTable<'i>>;

/// An error in a parameter.
#[derive(Debug)]
pub enum ParamError {
    /// It does not fit its JSON schema: an unknown key, a wrong type, a number out of range.
    Mismatch(Box<Mismatch>),
    /// It fits its schema, but its type rejects it.
    Refused {
        /// Its byte range in the file; `None` for all parameters together.
        span: Option<Range<usize>>,
        /// The error and its remedy, in the type's own words.
        message: String,
    },
    /// A check over several parameters failed.
    Check {
        /// The parameter to underline (dotted for nested ones).
        param: &'static str,
        /// The error and its remedy.
        message: String,
    },
}

/// Placeholder in parameters for the names of stages, once these are resolved: names of stages are not part of a key,
/// so they must not be part of the parameters.
pub const INPUT: &str = "<input>";

/// A parameter that always names one or more stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Input;

impl TryFrom<String> for Input {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == INPUT { Ok(Input) } else { Err("expected the name of a stage") }
    }
}

impl From<Input> for String {
    fn from(_: Input) -> String {
        INPUT.into()
    }
}

/// [`Kind::references`](crate::stage::Kind::references) define how many names it takes.
impl JsonSchema for Input {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Input".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "the name of a stage" })
    }
}

/// A parameter that names a stage, or holds a table or word of its own, e.g. `encoder = "ssl"` or
/// `encoder = { arch = "resnet18", weights = "random" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum MaybeInput<T> {
    /// The output of another stage.
    Input(Input),
    /// A value in the parameter itself.
    Value(T),
}

/// Written by hand: serde's derive for an untagged enum would lose the message of a check in `T`.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for MaybeInput<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaybeInputVisitor(PhantomData))
    }
}

/// [`Kind::references`](crate::stage::Kind::references) define which stages it may name.
impl<T: JsonSchema> JsonSchema for MaybeInput<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (name, value) = (generator.subschema_for::<Input>(), generator.subschema_for::<T>());
        json_schema!({ "anyOf": [name, value] })
    }
}

struct MaybeInputVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MaybeInputVisitor<T> {
    type Value = MaybeInput<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a stage, or a value in its place")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            INPUT => Ok(MaybeInput::Input(Input)),
            text => T::deserialize(text.into_deserializer()).map(MaybeInput::Value),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(MaybeInput::Value)
    }
}
