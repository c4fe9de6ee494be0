//! What trainings leave and other stages read: each artifact with its file name, writer and reader in one place. Data sets,
//! patches and scores have theirs in `crates/data` and `crates/metrics`.

mod encoder;
mod history;
mod model;
mod selection;

pub(super) use encoder::EncoderFile;
pub(crate) use history::HistoryFile;
pub(super) use model::ModelFile;
pub(super) use selection::Selection;
