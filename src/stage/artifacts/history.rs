//! The curves that a training leaves.

use super::super::{InputFiles, StageError};
use crate::report::curve::read_history;
use crate::train::History;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::Path;

/// A table with a row for each epoch: `epoch`, `step`, `train_loss`, …
pub(crate) struct HistoryFile;

impl HistoryFile {
    /// The file that a stage leaves.
    pub(crate) const FILE: &'static str = "history.csv";

    /// Writes `history` into `folder`.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub(in crate::stage) fn write(history: &History, folder: &Path) -> Result<(), StageError> {
        Ok(std::fs::write(folder.join(Self::FILE), history.to_csv()?)?)
    }

    /// `metric` by epoch, of what `input` left.
    ///
    /// # Errors
    /// [`StageError::BadData`] if the table has no such column.
    pub(in crate::stage) fn read(input: &InputFiles, metric: &str) -> Result<BTreeMap<u64, f64>, StageError> {
        let of = &input.label;
        let text = std::fs::read_to_string(input.file(Self::FILE)?).with_context(|| format!("the history of {of}"))?;
        read_history(&text, metric).map_err(|error| StageError::BadData(format!("the history of {of}: {error:#}")))
    }
}
