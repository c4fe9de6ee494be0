//! The parameters of a stage: how a kind declares them, and how a table of a file is read as their type.
//!
//! [`deserialize`] reads a table: `shape` is the type's JSON schema, `inspect` compares the table with it, `mismatch`
//! describes the differences.

mod deserialize;
mod inspect;
mod interval;
mod mismatch;
mod shape;
pub mod vocabulary;
pub(crate) mod wording;

pub use deserialize::deserialize;
pub(crate) use inspect::in_file_order;
pub use interval::Interval;
pub(crate) use mismatch::found;
pub use mismatch::{Fault, Mismatch};
pub use vocabulary::{Division, Input, LabelledInput, MaybeInput, ParamError, ReferenceSpec, Section, SpannedTable};
