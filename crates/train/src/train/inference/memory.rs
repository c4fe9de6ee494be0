//! Memory of a prediction, before it starts.

use super::pipeline::AHEAD;
use super::settings::{Network, Settings};
use super::stitcher::BAND;
use crate::networks::SegmentationNetwork;
use crate::train::memory::{Needs, Work, parameter_bytes, prediction_activations};
use anyhow::Result;
use matssl_base::machine;
use matssl_data::tiles::Tiling;
use matssl_tensor::Parameters;

/// Estimate of the peak memory for predicting images of the sizes `images` (width, height) as whole images, one after
/// the other.
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
    memory_together(&[Network { network, parameters }], &Settings::new(tile, overlap, parameters), images)
}

/// Estimate of the peak memory of [`predict_together`](super::predict_together) for images of the sizes `images` (width, height),
/// one after the other.
///
/// # Errors
/// If the tile is no multiple of 32.
pub fn memory_together(
    networks: &[Network<'_>],
    settings: &Settings,
    images: impl Iterator<Item = (usize, usize)>,
) -> Result<Needs> {
    let mut pixels = 0;
    let images = images.inspect(|&(width, height)| pixels = pixels.max(width * height));
    let mut needs = memory_in_bands(networks, settings, images)?;
    // Probabilities in float32, and labels.
    let classes = networks.iter().map(|network| network.network.config().classes).max().unwrap_or(0);
    needs.activations += (pixels * (4 * classes + 1)) as u64;
    Ok(needs)
}

/// Estimate of the peak memory of [`predict_rows`](super::predict_rows) for images of the sizes `images` (width, height),
/// one after the other, without what becomes of the finished rows.
///
/// # Errors
/// If the tile is no multiple of 32.
pub fn memory_in_bands(
    networks: &[Network<'_>],
    settings: &Settings,
    images: impl Iterator<Item = (usize, usize)>,
) -> Result<Needs> {
    let (held, tile) = (machine::held_memory(), settings.tile);
    // Tiles of a batch; pixels under the tiles of a row, and pixels of a row.
    let (mut tiles, mut strip, mut row) = (1, 0, 0);
    for (width, height) in images {
        let all = Tiling::new(width, height, tile, settings.overlap).corners.len();
        tiles = all.clamp(tiles, settings.batch.max(1));
        strip = strip.max(width * height.min(tile));
        row = row.max(width);
    }
    let mut needs = Needs {
        work: Work::Prediction,
        gpu: networks.iter().any(|network| !network.parameters.device().is_cpu()),
        recomputes: false,
        batch_size: tiles as u64,
        size: tile,
        loaded: 0,
        parameters: 0,
        trainable: 0,
        optimizer: None,
        accumulates: false,
        averages: false,
        keeps_best: false,
        batch: 0,
        activations: 0,
        between_steps: 0,
    };
    let several = networks.len() > 1;
    for Network { network, parameters } in networks {
        let (classes, in_channels) = (network.config().classes, network.config().encoder.in_channels());
        let shape = [tiles, tile, tile, in_channels];
        let passes = matssl_tensor::prediction_footprint(parameters, shape, |tape, x| network.forward(tape, x))?;
        // In float32: sums of probabilities and of weights under the tiles, those of the disagreement, rows that are handed out.
        let values = strip * (classes + 1 + 2 * usize::from(several)) + BAND.max(row * classes);
        // Logits that wait and that are blended, and the means of all networks.
        let outputs = tiles * tile * tile * classes * (AHEAD + 2 + networks.len() * usize::from(several));
        // The image's rows as bytes, while the next ones are read.
        let bytes = 2 * strip * in_channels;
        let activations = prediction_activations(passes) + (4 * (values + outputs) + bytes) as u64;
        needs.activations = needs.activations.max(activations);
        // Batches that are made, wait and are computed, each also as bytes.
        let batch = (5 * tiles * tile * tile * in_channels * (AHEAD + 2)) as u64;
        needs.batch = needs.batch.max(batch);
        let (all, trainable) = parameter_bytes(parameters);
        needs.parameters += all;
        needs.trainable += trainable;
    }
    needs.loaded = held.saturating_sub(needs.parameters);
    Ok(needs)
}
