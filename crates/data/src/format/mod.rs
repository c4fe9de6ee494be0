//! The formats of data sets: the trait [`Dataset`] and the table of formats. Each format is one file.

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

pub use dataset::Dataset;
pub use layout::{Layout, LayoutImage};
pub use params::{Classes, DatasetParams, Format, ParamProblem, SplitParams};
pub use reader::reader;
pub use scan::{SourceFile, list_files, scan};
