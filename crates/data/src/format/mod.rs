//! The formats of data sets. Each format is one file, which implements the trait `Dataset`, and one line in the table of
//! `reader.rs`.

mod aachen;
mod checks;
mod dataset;
mod ebc;
mod files;
mod folder;
mod layout;
mod metaldam;
mod params;
mod reader;
mod scan;
mod specimens;
mod split;
#[cfg(test)]
mod tests;
mod uhcs;

pub(crate) use files::EXTENSIONS;
pub use params::{Classes, DatasetParams, Format, ParamProblem, SplitParams};
pub use scan::{SourceFile, list_files, scan};
