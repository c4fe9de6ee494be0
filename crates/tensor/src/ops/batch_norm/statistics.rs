//! The statistics that a batch norm normalises with.

use candle_core::Tensor;

/// Mean and biased variance of every channel, each `[channels]`.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    /// Mean over batch and pixels.
    pub(crate) mean: Tensor,
    /// Mean squared deviation from it.
    pub(crate) variance: Tensor,
}
