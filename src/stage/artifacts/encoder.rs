//! The encoder that a pretraining leaves.

use super::super::errors::weights_error;
use super::super::{InputFiles, StageError};
use crate::nn::{Parameters, ResNetConfig, weights};
use crate::ssl::ENCODER;
use anyhow::Context as _;
use std::path::Path;

/// A ResNet's weights by torchvision's names, and its configuration.
pub(in crate::stage) struct EncoderFile;

impl EncoderFile {
    /// The file that a stage leaves.
    pub(in crate::stage) const FILE: &'static str = "encoder.safetensors";

    /// Writes the encoder among `parameters` into `folder`.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub(in crate::stage) fn write(
        parameters: &Parameters,
        config: &ResNetConfig,
        folder: &Path,
    ) -> Result<(), StageError> {
        let config = serde_json::to_string(config).map_err(StageError::failed)?;
        weights::save(parameters, Some(ENCODER), &folder.join(Self::FILE), &config).map_err(weights_error)
    }

    /// Which network `input` left.
    ///
    /// # Errors
    /// If the file is damaged or does not say.
    pub(in crate::stage) fn config(input: &InputFiles) -> Result<ResNetConfig, StageError> {
        let config = weights::read_config(input.file(Self::FILE)?).map_err(weights_error)?;
        let config = config.context("the encoder does not say which network it is")?;
        Ok(serde_json::from_str(&config).context("the encoder's description of itself")?)
    }

    /// Sets the encoder among `parameters` to what `input` left.
    ///
    /// # Errors
    /// If the file is damaged or of another network.
    pub(in crate::stage) fn load(parameters: &Parameters, input: &InputFiles) -> Result<(), StageError> {
        let loaded = weights::load(parameters, ENCODER, input.file(Self::FILE)?, false);
        loaded.map(drop).map_err(weights_error)
    }
}
