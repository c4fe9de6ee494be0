//! A table of scores: methods down, scores across, mean ± standard deviation over seeds.

mod baseline;
mod csv;
mod further;
pub(crate) mod latex;
pub(crate) mod markdown;
mod not_run;
mod notes;
pub(crate) mod number;
mod published;
mod row;
mod scores;
mod sheet;
mod statistics;
pub(crate) mod terminal;
#[cfg(test)]
mod tests;

pub use further::NoColumn;
pub use row::{Column, Comparison, Row};
pub use scores::{MixedImages, Table};
pub use statistics::{NoSuchRow, PerImage};

pub(crate) use row::TEST_MARK;
