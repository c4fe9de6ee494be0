//! The kinds of stages, one file per kind, and the table of all kinds.

mod artifacts;
mod command;
mod data_table;
mod dataset;
mod device;
mod encoder;
mod errors;
mod evaluate;
mod figure;
mod finetune;
mod kinds;
mod memory;
mod monitor;
mod overlay;
mod patchify;
mod pretrain;
mod pretraining;
mod segmentation;
mod start_weights;
mod synthesize;
mod table;
mod training;
mod training_parameters;

pub(crate) use artifacts::HistoryFile;
pub use dataset::dataset_params;
pub use kinds::KINDS;
pub use matssl_pipeline::stage::*;
pub use patchify::patch_params;
pub use start_weights::{StartWeights, start_weights};

use crate::data::{Manifest, OpenDataset, Root};
use crate::experiment::ReferenceSpec;

/// The parameter `dataset` of every stage that reads images: a downloaded or a synthesised data set.
pub const DATASET: ReferenceSpec = ReferenceSpec::one("dataset", &["dataset", "synthesize"]);

/// Opens the data set of a `dataset` or `synthesize` stage.
///
/// # Errors
/// If its manifest cannot be read.
pub(crate) fn open_dataset(input: &InputFiles) -> Result<OpenDataset, StageError> {
    let root = match &input.source {
        Some(folder) => Root::Folder(folder.clone()),
        None => Root::Files(input.files.clone()),
    };
    OpenDataset::open(input.file(Manifest::FILE)?, root).map_err(errors::data_error)
}
