//! The data set that a stage reads.

use super::errors::data_error;
use super::{InputFiles, StageError};
use crate::data::{Manifest, OpenDataset, Root};
use crate::experiment::ReferenceSpec;

/// The parameter `dataset` of every stage that reads images: a downloaded or a synthesised data set.
pub const DATASET: ReferenceSpec = ReferenceSpec::one("dataset", &["dataset", "synthesize"]);

/// Opens the data set of a `dataset` or `synthesize` stage.
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
