//! Predictions of a trained segmentation model for an image of any size: overlapping tiles, stitched.

use super::batches::Batches;
use super::memory::{Needs, Work, parameter_bytes, prediction_activations};
use crate::networks::{SegmentationConfig, SegmentationNetwork};
use crate::weights::{self, WeightsError};
use anyhow::{Context, Error, Result, ensure};
use candle_core::{DType, Device};
use matssl_base::machine;
use matssl_base::random::Stream;
use matssl_data::augment::normalization;
use matssl_data::tiles::{Stitch, Tiling};
use matssl_data::{Mask, Micrograph, check_channels};
use matssl_metrics::SelectedOn;
use matssl_tensor::{Mode, Parameters, Tape};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Number of tiles per batch: few enough for a CPU's caches, enough to use a GPU well.
fn batch(parameters: &Parameters) -> usize {
    if parameters.device().is_cpu() { 4 } else { 32 }
}

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
        let mut parameters = Parameters::new(DType::F32, device);
        network.init(&mut parameters, &Stream::new(0, "overwritten", 0, 0))?;
        weights::load(&parameters, "", path, false)?;
        Ok(Segmenter { config, network, parameters })
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
        let tiling = Tiling::new(image.width, image.height, tile, overlap);
        Ok(stitch(&self.network, &self.parameters, image, &tiling)?.labels())
    }

    /// As [`Segmenter::predict`], with the probability of each class.
    ///
    /// # Errors
    /// As [`Segmenter::predict`].
    pub fn probabilities(&self, image: &Micrograph, tile: usize, overlap: f64) -> Result<Prediction> {
        predict(&self.network, &self.parameters, image, tile, overlap)
    }
}

/// Estimate of the peak memory for predicting images of the sizes `images` (width, height), one after the other, with
/// tiles as in [`Segmenter::predict`].
///
/// # Errors
/// If `tile` is no multiple of 32.
pub fn memory(
    network: &SegmentationNetwork,
    parameters: &Parameters,
    tile: usize,
    overlap: f64,
    images: impl Iterator<Item = (usize, usize)>,
) -> Result<Needs> {
    let (held, network_device) = (machine::held_memory(), parameters.device().clone());
    let (mut tiles, mut pixels) = (1, 0);
    for (width, height) in images {
        tiles = Tiling::new(width, height, tile, overlap).corners.len().clamp(tiles, batch(parameters));
        pixels = pixels.max(width * height);
    }
    let (classes, in_channels) = (network.config().classes, network.config().encoder.in_channels);
    let shape = [tiles, tile, tile, in_channels];
    let passes = matssl_tensor::prediction_footprint(parameters, shape, |tape, x| network.forward(tape, x))?;
    // In float32: sums of probabilities and of weights under the stitch, the tiles' pixels (as bytes, two batches on a GPU), and
    // their probabilities twice.
    let stitch = 4 * (pixels * (classes + 1) + tiles * tile * tile * (in_channels + 2 * classes));
    let (parameters, trainable) = parameter_bytes(parameters);
    Ok(Needs {
        work: Work::Prediction,
        gpu: !network_device.is_cpu(),
        recomputes: false,
        batch_size: tiles as u64,
        size: tile,
        loaded: held.saturating_sub(parameters),
        parameters,
        trainable,
        optimizer: None,
        accumulates: false,
        averages: false,
        keeps_best: false,
        batch: (4 * tiles * tile * tile * in_channels) as u64,
        activations: prediction_activations(passes) + stitch as u64,
        between_steps: 0,
    })
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
    let tiling = Tiling::new(image.width, image.height, tile, overlap);
    let stitch = stitch(network, parameters, image, &tiling)?;
    Ok(Prediction { mask: stitch.labels(), probabilities: stitch.probabilities() })
}

fn stitch<'t>(
    network: &SegmentationNetwork,
    parameters: &Parameters,
    image: &Micrograph,
    tiling: &'t Tiling,
) -> Result<Stitch<'t>> {
    let (tile, classes, in_channels) = (tiling.tile, network.config().classes, network.config().encoder.in_channels);
    check_channels("images", [("the image", image.channels)], in_channels).map_err(Error::msg)?;
    let mut stitch = Stitch::new(tiling, classes);
    let all: Vec<(&Tiling, &Micrograph, usize)> = (0..tiling.corners.len()).map(|i| (tiling, image, i)).collect();
    let mut batches = all
        .chunks(batch(parameters))
        .map(|batch| Ok::<_, Error>((batch, Batches::on(parameters.device(), in_channels)?.tiles(batch)?)));
    let mut next = batches.next();
    while let Some(made) = next {
        let (places, tiles) = made?;
        let pixels = tiles.normalized(parameters, normalization())?;
        let tape = Tape::new(parameters, Mode::Eval);
        let logits = network.forward(&tape, &tape.input(&pixels)?)?;
        // While the GPU computes on these, the next batch is made.
        drop(pixels);
        next = batches.next();
        let mut probabilities: Vec<f32> = logits.tensor().to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        probabilities.par_chunks_mut(classes).with_min_len(1 << 12).for_each(softmax);
        ensure!(
            probabilities.par_iter().with_min_len(1 << 14).all(|p| p.is_finite()),
            "the network's output is not finite: the training has diverged, or its weights are damaged"
        );
        for (&(.., i), probabilities) in places.iter().zip(probabilities.chunks(tile * tile * classes)) {
            stitch.add(i, probabilities);
        }
    }
    Ok(stitch)
}

fn softmax(logits: &mut [f32]) {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - most).exp();
        sum += *logit;
    }
    logits.iter_mut().for_each(|logit| *logit /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_model_predicts_as_the_one_in_memory() {
        let text = r#"{"encoder":{"arch":"resnet18","width":4},"decoder_channels":[8,8,4,4,4],"classes":3}"#;
        check(serde_json::from_str(text).unwrap());
        check(serde_json::from_str(&text.replacen('{', r#"{"architecture":"unet","#, 1)).unwrap());
        for in_channels in [1, 2, 5] {
            let text = text.replace(r#""width":4"#, &format!(r#""width":4,"in_channels":{in_channels}"#));
            check(serde_json::from_str(&text).unwrap());
        }
    }

    fn check(network: SegmentationConfig) {
        let in_channels = network.encoder.in_channels;
        let channels = if in_channels == 3 { 1 } else { in_channels };
        let class_names = ["a", "b", "c"].map(str::to_owned).into();
        let config = ModelConfig { network: network.clone(), crop_size: 32, class_names, selected_on: SelectedOn::Val };
        let network = SegmentationNetwork::new(network);
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        network.init(&mut parameters, &Stream::new(1, "inference test", 0, 0)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        weights::save(&parameters, None, &path, &serde_json::to_string(&config).unwrap()).unwrap();
        let segmenter = Segmenter::load(&path, &Device::Cpu).unwrap();
        assert_eq!(segmenter.config(), &config);
        let mut stream = Stream::new(2, "image", 0, 0);
        let pixels = (0..50 * 41 * channels).map(|_| stream.next_u32() as u8).collect();
        let image = Micrograph { width: 50, height: 41, channels, pixels };
        let mask = segmenter.predict(&image, 32, 0.25).unwrap();
        assert_eq!((mask.width, mask.height), (50, 41));
        assert_eq!(mask, predict(&network, &parameters, &image, 32, 0.25).unwrap().mask);
        let probabilities = segmenter.probabilities(&image, 32, 0.25).unwrap().probabilities;
        for (pixel, label) in probabilities.chunks(3).zip(&mask.labels) {
            assert!((pixel.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(pixel.iter().all(|&p| p <= pixel[usize::from(*label)]));
        }
        assert!(segmenter.predict(&image, 40, 0.0).is_err());
        let other = Micrograph { width: 1, height: 1, channels: 8, pixels: vec![0; 8] };
        let error = segmenter.predict(&other, 32, 0.0).unwrap_err().to_string();
        assert!(error.starts_with("the image has 8 channels, but the network takes"), "{error}");
        let (_, first) = parameters.iter().next().unwrap();
        first.var.set(&(first.var.as_detached_tensor() * f64::NAN).unwrap()).unwrap();
        let error = predict(&network, &parameters, &image, 32, 0.25).err().unwrap().to_string();
        assert!(error.starts_with("the network's output is not finite"), "{error}");
        assert!(Segmenter::load(&folder.path().join("gone"), &Device::Cpu).err().unwrap().is::<WeightsError>());
    }
}
