//! The data set that a stage reads.

use super::errors::data_error;
use super::{InputFiles, StageError};
use crate::data::{Manifest, OpenDataset, Root};
use crate::experiment::ReferenceSpec;

/// The parameter of every stage that reads images: a data set as downloaded, or a synthesised one.
pub const DATASET: ReferenceSpec = ReferenceSpec::one("dataset", &["dataset", "synthesize"]);

/// Opens the data set that a `dataset` or `synthesize` stage left.
///
/// # Errors
/// If its manifest cannot be read.
pub(super) fn open_dataset(input: &InputFiles) -> Result<OpenDataset, StageError> {
    let root = match &input.source {
        Some(folder) => Root::Folder(folder.clone()),
        None => Root::Files(input.files.clone()),
    };
    OpenDataset::open(input.file(Manifest::FILE)?, root).map_err(data_error)
}
