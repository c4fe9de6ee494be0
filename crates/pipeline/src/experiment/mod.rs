//! From a TOML file to typed, expanded, resolved stages. Reads the experiment files and nothing else.
//!
//! [`load`] takes these steps: `extend` and `merge` (the file and those that it extends), `source` (the texts and the
//! `--set` flags), `document` (families of stages with their spans and `limits`), `order` (each family after its inputs;
//! circles), `expand` (each family's members: `matrix`, `resolve`, parameters), `instances` (seeds and edges). Each step
//! adds its errors to one list, so that all are shown at once. The kinds of stages and their parameters are not known
//! here: they come in as [`Kinds`](crate::stage::Kinds).
//!
//! [`parameters`](crate::parameters) reads the table of one stage; `parameter_errors` shows the user what is wrong with it.

mod choice;
mod diagnostic;
mod divide;
mod document;
mod expand;
mod extend;
mod families;
mod graph;
mod include;
mod instances;
mod left_out;
mod limits;
mod load;
mod lookalike;
mod matrix;
mod member;
mod merge;
mod order;
mod overrides;
mod parameter_errors;
mod pattern;
mod resolve;
mod schema;
mod source;
mod syntax;
#[cfg(test)]
mod tests;

pub use crate::parameters::wording::is_file_name;
pub use crate::parameters::{
    Division, Input, LabelledInput, MaybeInput, Mismatch, ParamError, ReferenceSpec, Section, SpannedTable,
    deserialize, vocabulary,
};
pub use diagnostic::Diagnostics;
pub use graph::{Experiment, InputRef, Instance};
pub use left_out::LeftOut;
pub use limits::Limits;
pub use load::{Rejected, load, parse_text};
pub use pattern::Named;
pub use schema::schema;
