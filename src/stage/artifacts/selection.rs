//! The selection file of a fine-tuning: how its epoch was chosen.

use super::super::InputFiles;
use crate::data::Split;
use crate::metrics::SelectedOn;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How the epoch of a fine-tuned model was chosen.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::stage) struct Selection {
    /// The parameter `select_on`.
    pub(in crate::stage) selected_on: SelectedOn,
    /// The split of val_miou and iou_CLASS in the history.
    pub(in crate::stage) validated_on: Split,
    /// The epoch that was kept, counted from 1.
    pub(in crate::stage) epoch: u64,
}

impl Selection {
    /// File name in the output of a stage.
    pub(in crate::stage) const FILE: &'static str = "selection.json";

    /// Whether the scores in the history are those of the test images.
    pub(in crate::stage) fn on_test(&self) -> bool {
        self.validated_on == Split::Test
    }

    /// Writes it into `folder` as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(in crate::stage) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(std::fs::write(folder.join(Self::FILE), json)?)
    }

    /// Reads the selection of `input`; `None` if it has none (a pretraining).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(in crate::stage) fn read(input: &InputFiles) -> anyhow::Result<Option<Self>> {
        let Some(path) = input.files.get(Self::FILE) else { return Ok(None) };
        let what = || format!("the selection of {}", input.label);
        let text = std::fs::read(path).with_context(what)?;
        serde_json::from_slice(&text).map(Some).with_context(what)
    }
}
