//! What is predicted with, and how.

use crate::networks::SegmentationNetwork;
use matssl_data::Symmetry;
use matssl_tensor::Parameters;

/// Tiles a batch on a CPU: few enough for its caches.
const CPU_BATCH: usize = 4;

/// Tiles a batch on a GPU: enough to use it well.
const GPU_BATCH: usize = 32;

/// A network with its parameters, trained or still in training.
#[derive(Clone, Copy)]
pub struct Network<'a> {
    /// Its definition.
    pub network: &'a SegmentationNetwork,
    /// Its weights.
    pub parameters: &'a Parameters,
}

/// How an image is predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Side of a tile, a multiple of 32.
    pub tile: usize,
    /// Overlap of neighbouring tiles, as a fraction of their side: 0 to below 1.
    pub overlap: f64,
    /// Tiles a batch.
    pub batch: usize,
    /// The copies of a tile whose predictions, turned back, are averaged. At least one.
    pub symmetries: &'static [Symmetry],
}

impl Settings {
    /// Each tile as it is, in batches that suit the device of `parameters`.
    pub fn new(tile: usize, overlap: f64, parameters: &Parameters) -> Self {
        Settings { tile, overlap, batch: default_batch(parameters), symmetries: &[Symmetry::Identity] }
    }
}

/// Number of tiles a batch that suits the device of `parameters`.
pub fn default_batch(parameters: &Parameters) -> usize {
    if parameters.device().is_cpu() { CPU_BATCH } else { GPU_BATCH }
}
