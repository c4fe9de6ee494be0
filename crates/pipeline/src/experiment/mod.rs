//! From a TOML file to typed, expanded, resolved stages. Reads the experiment files and nothing else.
//!
//! [`load`] takes these steps: `extend` and `merge` (the file and those that it extends), `source` (the texts and the
//! `--set` flags), `document` (families of stages with their spans and `limits`), `order` (each family after its inputs;
//! circles), `expand` (each family's members: `matrix`, `resolve`, parameters), `instances` (seeds and edges). Each step
//! adds its errors to one list, so that all are shown at once. The kinds of stages and their parameters are not known
//! here: they come in as [`Kinds`](crate::stage::Kinds).
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
mod graph;
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
pub use graph::{Experiment, InputRef, Instance};
pub use interval::Interval;
pub use limits::Limits;
pub use load::{Rejected, load, parse_text};
pub use mismatch::{Fault, Mismatch};
pub use pattern::Named;
pub use schema::schema;
pub use vocabulary::{Input, LabelledInput, MaybeInput, ParamError, ReferenceSpec, Section, SpannedTable};
pub use wording::is_file_name;
