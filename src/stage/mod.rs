//! The kinds of stages, one file per kind, and the table of all kinds.

mod artifacts;
mod command;
mod counts;
mod data_set;
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
mod outlook;
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
pub use data_set::DATASET;
use data_set::open_dataset;
pub use dataset::dataset_params;
pub(crate) use evaluate::prediction_files as picture_files;
pub use kinds::KINDS;
pub use matssl_pipeline::stage::*;
pub use outlook::images;
pub use patchify::patch_params;
pub use start_weights::{StartWeights, start_weights};
