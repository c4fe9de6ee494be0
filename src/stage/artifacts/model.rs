//! The model file of a fine-tuning.

use super::super::errors::weights_error;
use super::super::{InputFiles, StageError};
use crate::nn::{Parameters, weights};
use crate::train::inference::{ModelConfig, Segmenter};
use candle_core::Device;
use std::path::Path;

/// The weights of a segmentation network with segmentation_models_pytorch's names, and its [`ModelConfig`].
pub(in crate::stage) struct ModelFile;

impl ModelFile {
    /// File name in the output of a stage.
    pub(in crate::stage) const FILE: &'static str = "model.safetensors";

    /// Writes `parameters` into `folder`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(in crate::stage) fn write(
        parameters: &Parameters,
        config: &ModelConfig,
        folder: &Path,
    ) -> Result<(), StageError> {
        let config = serde_json::to_string(config).map_err(StageError::failed)?;
        weights::save(parameters, None, &folder.join(Self::FILE), &config).map_err(weights_error)
    }

    /// Loads the model of `input` for predictions on `device`.
    ///
    /// # Errors
    /// If the file is damaged or has no configuration.
    pub(in crate::stage) fn load(input: &InputFiles, device: &Device) -> anyhow::Result<Segmenter> {
        Segmenter::load(input.file(Self::FILE)?, device)
    }
}
