//! The formats of data sets. Each format is one file, which implements the trait `Dataset`, and one line in the table of
//! `reader.rs`.

mod aachen;
mod annotated;
mod checks;
mod dataset;
mod ebc;
mod files;
mod folder;
mod layout;
mod links;
mod metaldam;
mod params;
mod placement;
mod reader;
mod scan;
mod specimens;
mod split;
#[cfg(test)]
mod tests;
mod uhcs;

pub use params::{Classes, DatasetParams, Format, ParamProblem, SplitParams};
pub use scan::{SourceFile, list_files, scan};
