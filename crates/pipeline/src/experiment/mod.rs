//! From a TOML file to typed, expanded, resolved stages. Reads the experiment files and nothing else.
//!
//! [`load`] takes these steps: `extend` and `merge` (the file and those that it extends), `source` (the texts and the
//! `--set` flags), `document` (families of stages with their spans and `limits`), `order` (each family after its inputs;
//! circles), `expand` (each family's members: `matrix`, `resolve`, parameters), `instances` (seeds and edges). Each step
//! adds its errors to one list, so that all are shown at once. The kinds of stages and their parameters are not known
//! here: they come in as a [`Vocabulary`].
//!
//! [`deserialize`] reads the parameters of one stage: `shape` is their JSON schema, `inspect` compares them with it,
//! `mismatch` says what does not fit, `parameters` shows it to the user.

mod choice;
mod deserialize;
mod diagnostic;
mod document;
mod expand;
mod extend;
mod families;
mod include;
mod inspect;
mod instances;
mod interval;
mod limits;
mod load;
mod matrix;
mod member;
mod merge;
mod mismatch;
mod order;
mod overrides;
mod parameters;
mod pattern;
mod resolve;
mod schema;
mod shape;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
pub mod vocabulary;
mod wording;

pub use deserialize::deserialize;
pub use diagnostic::Diagnostics;
pub use interval::Interval;
pub use limits::Limits;
pub use load::{Rejected, load, parse_text};
pub use mismatch::{Fault, Mismatch};
pub use pattern::Named;
pub use schema::schema;
pub use vocabulary::{
    Input, KindSpec, LabelledInput, MaybeInput, ParamError, ReferenceSpec, Section, SpannedTable, Vocabulary,
};
pub use wording::is_file_name;

use std::path::PathBuf;

/// What an experiment file says, expanded and resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// `name`: fit to name a folder.
    pub name: String,
    /// `title`, or the name.
    pub title: String,
    /// `seeds`, as given.
    pub seeds: Vec<u64>,
    /// Every stage, after those it takes inputs from.
    pub instances: Vec<Instance>,
    /// The file as the caller named it.
    pub path: PathBuf,
    /// Every file that was read: `path`, the file that it extends, the file that that one extends, …
    pub files: Vec<PathBuf>,
}

/// One node of the graph: one member of a family, for one seed if it is repeated for seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Unique: family, labels of its axes, and `@seed` if it is repeated for seeds: `"ssl.matssl.all@0"`.
    pub name: String,
    /// The name in the file: `"ssl"`, `"tables.table4"`.
    pub family: String,
    /// The matrix's keys with the label of this member's value, in the file's order.
    pub axes: Vec<(String, String)>,
    /// `None` for a stage that draws nothing at random and rests on nothing that does.
    pub seed: Option<u64>,
    /// The word of its kind.
    pub kind: &'static str,
    /// Every parameter, with defaults filled in, and [`vocabulary::INPUT`] in place of names of stages.
    pub params: serde_json::Value,
    /// Stages it takes inputs from: by parameter in the order of [`KindSpec::references`], then in the file's order.
    pub inputs: Vec<InputRef>,
    /// How it is run; the same for all members of a family, and never part of a key.
    pub limits: Limits,
}

impl Instance {
    /// The name without its seed.
    pub fn label(&self) -> &str {
        match self.seed {
            Some(_) => self.name.rsplit_once('@').map_or(&self.name, |(label, _)| label),
            None => &self.name,
        }
    }
}

/// One edge of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRef {
    /// The parameter that names it ([`ReferenceSpec::param`]).
    pub role: &'static str,
    /// Index into [`Experiment::instances`]; always smaller than that of the stage that takes it.
    pub instance: usize,
    /// Its name without seed, or the key that a label → name table gives it.
    pub label: String,
}
