//! Outputs of trainings that other stages read. Each type has the file name, a writer and a reader. Those of data sets,
//! patches and scores are in `crates/data` and `crates/metrics`.

mod encoder;
mod history;
mod model;
mod reference;
mod selection;

pub(super) use encoder::EncoderFile;
pub(crate) use history::HistoryFile;
pub(super) use model::ModelFile;
pub(super) use reference::ReferenceFile;
pub(super) use selection::Selection;
