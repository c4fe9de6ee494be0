//! What the front end must know of the kinds of stages, without importing them.

use serde::{Deserialize, Serialize};

/// In which part of the file a kind is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[stages.NAME]` with `kind = "…"`.
    Stages,
    /// `[datasets.NAME]`; the kind is implied.
    Datasets,
    /// `[[tables]]`; the kind is implied, the stage is named after `file`.
    Tables,
    /// `[[figures]]`, likewise.
    Figures,
    /// `[[overlays]]`, likewise.
    Overlays,
}

/// A parameter that names other stages.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceSpec {
    /// The parameter, e.g. `"patches"`; also the role of the inputs it yields.
    pub param: &'static str,
    /// Kinds of stage it may name.
    pub kinds: &'static [&'static str],
    /// May name several (a list, a glob, or a table of label → name); otherwise exactly one.
    pub many: bool,
    /// May be left out, or hold something that is not a reference (an inline table such as `{ weights = "random" }`).
    pub optional: bool,
    /// Takes every seed of what it names (tables and figures); otherwise the stage is repeated for each seed.
    pub all_seeds: bool,
}

/// One kind of stage as the front end sees it.
pub struct KindSpec {
    /// The word in the file, e.g. `"pretrain"`.
    pub kind: &'static str,
    /// Where it is written.
    pub section: Section,
    /// Draws at random from the experiment's seed: repeated for each of `seeds`.
    pub seeded: bool,
    /// Its parameters that name other stages.
    pub references: &'static [ReferenceSpec],
    /// Deserialises and checks the parameters of one stage (`kind`, `matrix` taken out, spans intact), and returns
    /// them as JSON with every default filled in, or all that is wrong with them. References have been replaced by
    /// the string [`INPUT`] (see [`Input`], [`MaybeInput`]).
    pub parse: fn(SpannedTable<'_>) -> Result<serde_json::Value, Vec<ParamError>>,
}

/// A TOML table that still knows where each of its keys and values stood in the file.
pub type SpannedTable<'i> = toml::Spanned<toml::de::DeTable<'i>>;

/// A parameter that serde or a cross-check refused.
#[derive(Debug)]
pub enum ParamError {
    /// With the span that TOML knows (unknown key, wrong type, a value its type refuses).
    Toml(toml::de::Error),
    /// A check over several parameters; `param` says where to point.
    Check {
        /// The parameter to underline (dotted for nested ones).
        param: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
}

/// All kinds of stages.
pub type Vocabulary = [&'static KindSpec];

/// What the front end writes in place of a resolved reference before parameters are parsed. Names of stages are not
/// part of a key, so they must not be part of the parameters either.
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

/// A parameter that names a stage or holds a value of its own, e.g. `encoder = "ssl"` or
/// `encoder = { arch = "resnet18", weights = "random" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MaybeInput<T> {
    /// The output of another stage.
    Input(Input),
    /// A value written in place.
    Value(T),
}
