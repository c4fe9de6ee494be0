//! The formats of data sets. Each format is one file, which implements the trait `Dataset`, and one line in the table of
//! `reader.rs`.

mod aachen;
mod annotated;
mod checks;
mod class_names;
mod dataset;
mod ebc;
mod ebc_preset;
mod files;
mod folder;
mod folder_pairs;
mod folders;
mod layout;
mod links;
mod metaldam;
mod neighbours;
mod pairing;
mod params;
mod passed_over;
mod placement;
mod reader;
mod scan;
mod specimens;
mod split;
#[cfg(test)]
mod tests;
mod uhcs;

pub use ebc_preset::EbcPreset;
pub(crate) use files::EXTENSIONS;
pub use files::{is_hidden, is_image_name};
pub use params::{Classes, DatasetParams, Format, ParamProblem, SplitFolders, SplitParams};
pub use passed_over::PassedOver;
pub use scan::{SourceFile, list_files, scan};
