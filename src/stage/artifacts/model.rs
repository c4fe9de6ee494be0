//! The model that a fine-tuning leaves.

use super::super::errors::weights_error;
use super::super::{InputFiles, StageError};
use crate::nn::{Parameters, weights};
use crate::train::inference::{ModelConfig, Segmenter};
use candle_core::Device;
use std::path::Path;

/// A segmentation network's weights by segmentation_models_pytorch's names, and its [`ModelConfig`].
pub(in crate::stage) struct ModelFile;

impl ModelFile {
    /// The file that a stage leaves.
    pub(in crate::stage) const FILE: &'static str = "model.safetensors";

    /// Writes `parameters` into `folder`.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub(in crate::stage) fn write(
        parameters: &Parameters,
        config: &ModelConfig,
        folder: &Path,
    ) -> Result<(), StageError> {
        let config = serde_json::to_string(config).map_err(StageError::failed)?;
        weights::save(parameters, None, &folder.join(Self::FILE), &config).map_err(weights_error)
    }

    /// Reads what `input` left, to predict on `device`.
    ///
    /// # Errors
    /// If the file is damaged or does not say which network it is.
    pub(in crate::stage) fn load(input: &InputFiles, device: &Device) -> anyhow::Result<Segmenter> {
        Segmenter::load(input.file(Self::FILE)?, device)
    }
}
