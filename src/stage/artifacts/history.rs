//! The history file of a training.

use super::super::{InputFiles, StageError};
use crate::report::curve::read_history;
use crate::train::History;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::Path;

/// A table with one row per epoch: `epoch`, `step`, `train_loss`, …
pub(crate) struct HistoryFile;

impl HistoryFile {
    /// File name in the output of a stage.
    pub(crate) const FILE: &'static str = "history.csv";

    /// Writes `history` into `folder`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(in crate::stage) fn write(history: &History, folder: &Path) -> Result<(), StageError> {
        Ok(std::fs::write(folder.join(Self::FILE), history.to_csv()?)?)
    }

    /// Reads `metric` by epoch from `input`.
    ///
    /// # Errors
    /// [`StageError::BadData`] if the table has no such column.
    pub(in crate::stage) fn read(input: &InputFiles, metric: &str) -> Result<BTreeMap<u64, f64>, StageError> {
        let label = &input.label;
        let text =
            std::fs::read_to_string(input.file(Self::FILE)?).with_context(|| format!("the history of {label}"))?;
        read_history(&text, metric).map_err(|error| StageError::BadData(format!("the history of {label}: {error:#}")))
    }
}
