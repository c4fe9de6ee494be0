//! Losses of segmentation, each with its softmax and its own gradient.

mod cross_entropy;
mod dice;
mod pixels;
#[cfg(test)]
mod testing;

pub use cross_entropy::cross_entropy;
pub use dice::dice;

use candle_core::Tensor;

/// A loss and its gradient.
#[derive(Clone, Debug)]
pub struct LossGradient {
    /// The loss.
    pub loss: f64,
    /// Its gradient with respect to the logits, of their shape and type.
    pub gradient: Tensor,
}
