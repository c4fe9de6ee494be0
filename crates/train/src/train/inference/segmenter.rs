//! A trained model, and its predictions for images in memory.

use super::memory::memory;
use super::pipeline::predict_rows;
use super::settings::{Network, Settings};
use crate::networks::{SegmentationConfig, SegmentationNetwork};
use crate::train::memory::Needs;
use crate::weights::{self, WeightsError};
use anyhow::{Context, Result};
use candle_core::{DType, Device};
use matssl_base::random::Stream;
use matssl_data::tiles::RowsInMemory;
use matssl_data::{Mask, Micrograph};
use matssl_metrics::{Fold, SelectedOn};
use matssl_tensor::Parameters;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A model's configuration, in the metadata of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// The network.
    pub network: SegmentationConfig,
    /// Side of the crops it was trained on, in pixels: the recommended size of tiles.
    pub crop_size: usize,
    /// Names of the classes, in the order of the network's outputs.
    pub class_names: Vec<String>,
    /// How the epoch of these weights was chosen.
    pub selected_on: SelectedOn,
    /// The fold of a cross-validation that it was trained in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
}

/// A trained model, ready to predict.
pub struct Segmenter {
    config: ModelConfig,
    network: SegmentationNetwork,
    parameters: Parameters,
}

impl Segmenter {
    /// Reads a fine-tuned model for predictions on `device`.
    ///
    /// # Errors
    /// [`WeightsError`] (in the chain) if the file is missing, damaged or of another network; also if its metadata hold
    /// no configuration.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let config = weights::read_config(path)?;
        let config =
            config.with_context(|| format!("{} has no network configuration in its metadata", path.display()))?;
        let config: ModelConfig = serde_json::from_str(&config)
            .map_err(|error| WeightsError::Format { path: path.into(), reason: error.to_string() })?;
        let network = SegmentationNetwork::new(config.network.clone());
        let mut parameters = Parameters::new(DType::F32, device).for_inference();
        network.init(&mut parameters, &Stream::new(0, "overwritten", 0, 0))?;
        weights::load_new(&parameters, path)?;
        Ok(Segmenter { config, network, parameters })
    }

    /// The network with its weights.
    pub fn network(&self) -> Network<'_> {
        Network { network: &self.network, parameters: &self.parameters }
    }

    /// The file's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Estimate of the peak memory of [`Segmenter::predict`] on images of the sizes `images` (width, height).
    ///
    /// # Errors
    /// If `tile` is no multiple of 32.
    pub fn memory(&self, tile: usize, overlap: f64, images: impl Iterator<Item = (usize, usize)>) -> Result<Needs> {
        memory(&self.network, &self.parameters, tile, overlap, images)
    }

    /// The most probable class of each pixel of `image`, from tiles with a side of `tile` pixels (a multiple of 32;
    /// start with the model's `crop_size`) that overlap by the fraction `overlap` of their side.
    ///
    /// # Errors
    /// If `tile` is no multiple of 32, the network takes images of other channels, or its output is not finite.
    pub fn predict(&self, image: &Micrograph, tile: usize, overlap: f64) -> Result<Mask> {
        Ok(self.probabilities(image, tile, overlap)?.mask)
    }

    /// As [`Segmenter::predict`], with the probability of each class.
    ///
    /// # Errors
    /// As [`Segmenter::predict`].
    pub fn probabilities(&self, image: &Micrograph, tile: usize, overlap: f64) -> Result<Prediction> {
        predict(&self.network, &self.parameters, image, tile, overlap)
    }
}

/// A model's prediction for an image.
pub struct Prediction {
    /// The most probable class of each pixel.
    pub mask: Mask,
    /// The probability of each class at each pixel: `[height, width, classes]`.
    pub probabilities: Vec<f32>,
}

/// As [`Segmenter::probabilities`], with a network that may still be in training.
///
/// # Errors
/// If `tile` is no multiple of 32, the network takes images of other channels, or its output is not finite.
pub fn predict(
    network: &SegmentationNetwork,
    parameters: &Parameters,
    image: &Micrograph,
    tile: usize,
    overlap: f64,
) -> Result<Prediction> {
    predict_together(&[Network { network, parameters }], image, &Settings::new(tile, overlap, parameters))
}

/// The mean of the probabilities of `networks` (same classes and channels) for an image in memory, as [`predict_rows`] computes it.
///
/// # Errors
/// As [`predict_rows`].
pub fn predict_together(networks: &[Network<'_>], image: &Micrograph, settings: &Settings) -> Result<Prediction> {
    let (width, height) = (image.width, image.height);
    let (mut labels, mut probabilities) = (Vec::with_capacity(width * height), Vec::new());
    predict_rows(networks, &mut RowsInMemory(image), settings, &mut |mut band| {
        labels.append(&mut band.rows.labels);
        probabilities.append(&mut band.rows.probabilities);
        Ok(())
    })?;
    Ok(Prediction { mask: Mask { width, height, labels }, probabilities })
}
