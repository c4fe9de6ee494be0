//! The encoder file of a pretraining.

use super::super::errors::weights_error;
use super::super::loaded_weights::tensors;
use super::super::{InputFiles, StageError};
use crate::nn::weights::Request;
use crate::nn::{EncoderConfig, Parameters, weights};
use crate::ssl::ENCODER;
use anyhow::Context as _;
use std::path::Path;

/// The weights of an encoder with the published names (a ResNet: torchvision's), and its configuration.
pub(in crate::stage) struct EncoderFile;

impl EncoderFile {
    /// File name in the output of a stage.
    pub(in crate::stage) const FILE: &'static str = "encoder.safetensors";

    /// Writes the encoder among `parameters` into `folder`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(in crate::stage) fn write(
        parameters: &Parameters,
        config: &EncoderConfig,
        folder: &Path,
    ) -> Result<(), StageError> {
        let config = serde_json::to_string(config).map_err(StageError::failed)?;
        weights::save(parameters, Some(ENCODER), &folder.join(Self::FILE), &config).map_err(weights_error)
    }

    /// Reads the configuration of the network from `input`.
    ///
    /// # Errors
    /// If the file is damaged or has no configuration.
    pub(in crate::stage) fn config(input: &InputFiles) -> Result<EncoderConfig, StageError> {
        let config = weights::read_config(input.file(Self::FILE)?).map_err(weights_error)?;
        let config = config.context("the encoder file does not describe its network")?;
        Ok(serde_json::from_str(&config).context("the configuration in the encoder file")?)
    }

    /// Loads the encoder, which lies below `prefix` among `parameters`, from `input`.
    ///
    /// # Errors
    /// If the file is damaged or has another network.
    pub(in crate::stage) fn load(
        parameters: &Parameters,
        encoder: &EncoderConfig,
        prefix: &str,
        input: &InputFiles,
    ) -> Result<(), StageError> {
        let only = tensors(encoder);
        let request = Request { only: Some(&only), ..Request::default() };
        let loaded = weights::load_chosen(parameters, prefix, input.file(Self::FILE)?, &request);
        loaded.map(drop).map_err(weights_error)
    }
}
