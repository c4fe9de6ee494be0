//! Three threads for an image: one reads and cuts, one computes, one blends and hands out.

use super::finished::Finished;
use super::reader::read;
use super::settings::{Network, Settings};
use super::stitcher::stitch;
use crate::train::batches::Batches;
use anyhow::{Error, Result, ensure};
use candle_core::DType;
use matssl_data::augment::normalization;
use matssl_data::tiles::Tiling;
use matssl_data::{Rows, check_channels};
use matssl_tensor::{Images, Mode, Tape};
use rayon::{ThreadPoolBuilder, current_num_threads};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Maximum number of batches, and of outputs, that wait for the next thread.
pub(super) const AHEAD: usize = 1;

/// Threads beside those that compute, for cutting and for blending, which need far fewer.
const HELPERS: usize = 8;

/// What was predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Number of tiles.
    pub tiles: usize,
    /// The mean over the tiles of the first network's embedding ([`SegmentationNetwork::forward_with_embedding`]): `[channels]`.
    ///
    /// [`SegmentationNetwork::forward_with_embedding`]: crate::networks::SegmentationNetwork::forward_with_embedding
    pub embedding: Vec<f32>,
}

/// Predicts `image` with the mean of `networks`, which have the same classes and channels and lie on one device. Finished rows
/// go to `take` from top to bottom, in another thread. Bits do not depend on threads, nor on the other images.
///
/// # Errors
/// Those of the image and of `take`; a tile that is no multiple of 32; networks of other channels or classes; an output that
/// is not finite.
pub fn predict_rows(
    networks: &[Network<'_>],
    image: &mut dyn Rows,
    settings: &Settings,
    take: &mut (dyn FnMut(Finished) -> Result<()> + Send),
) -> Result<Summary> {
    ensure!(!networks.is_empty() && !settings.symmetries.is_empty(), "there is nothing to predict with");
    let config = networks[0].network.config();
    let (classes, in_channels) = (config.classes, config.encoder.in_channels());
    for other in networks.iter().map(|other| other.network.config()) {
        let same = (other.classes, other.encoder.in_channels()) == (classes, in_channels);
        ensure!(same, "the networks differ in their classes or channels");
    }
    check_channels("images", [("the image", image.channels())], in_channels).map_err(Error::msg)?;
    let tiling = Tiling::new(image.width(), image.height(), settings.tile, settings.overlap);
    let batches = Batches::on(networks[0].parameters.device(), in_channels)?;
    // Pools of their own: the threads of the caller's pool may all be waiting for a batch.
    let pool = || ThreadPoolBuilder::new().num_threads(current_num_threads().min(HELPERS)).build();
    let (reading, blending) = (pool()?, pool()?);
    let (made, batches_made) = sync_channel(AHEAD);
    let (computed, outputs) = sync_channel(AHEAD);
    let tiling = &tiling;
    thread::scope(|scope| {
        let reader = scope.spawn(move || reading.install(move || read(tiling, image, settings, &batches, &made)));
        let sizes = (networks.len(), classes);
        let stitcher = scope.spawn(move || blending.install(move || stitch(tiling, settings, sizes, &outputs, take)));
        let embedding = compute(networks, settings.symmetries.len(), &batches_made, &computed);
        // Whoever still waits for the other end learns that there is none.
        drop((batches_made, computed));
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // An error there ends the computing, which by itself is none.
        let tiles = stitcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let mut embedding = embedding?;
        ensure!(tiles == tiling.corners.len(), "{tiles} of {} tiles were predicted", tiling.corners.len());
        embedding.iter_mut().for_each(|sum| *sum /= tiles as f64);
        Ok(Summary { tiles, embedding: embedding.into_iter().map(|mean| mean as f32).collect() })
    })
}

/// Sends the logits of each batch for each network, and returns the sum over the tiles of the first network's embedding. Ends
/// early when nobody receives.
fn compute(
    networks: &[Network<'_>],
    symmetries: usize,
    batches: &Receiver<Result<Images>>,
    outputs: &SyncSender<Vec<f32>>,
) -> Result<Vec<f64>> {
    let mut sums = Vec::new();
    for (pass, images) in batches.iter().enumerate() {
        let pixels = images?.normalized(networks[0].parameters, normalization())?;
        for (index, Network { network, parameters }) in networks.iter().enumerate() {
            let tape = Tape::new(parameters, Mode::Eval);
            let x = tape.input(&pixels)?;
            let logits = if index == 0 && pass % symmetries == 0 {
                let (logits, embedding) = network.forward_with_embedding(&tape, &x)?;
                let embedding: Vec<Vec<f32>> = embedding.tensor().to_dtype(DType::F32)?.to_vec2()?;
                for tile in &embedding {
                    sums.resize(tile.len(), 0.0);
                    sums.iter_mut().zip(tile).for_each(|(sum, &value)| *sum += f64::from(value));
                }
                logits
            } else {
                network.forward(&tape, &x)?
            };
            if outputs.send(logits.tensor().to_dtype(DType::F32)?.flatten_all()?.to_vec1()?).is_err() {
                return Ok(sums);
            }
        }
    }
    Ok(sums)
}
