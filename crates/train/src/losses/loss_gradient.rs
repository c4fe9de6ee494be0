//! What every loss returns.

use candle_core::Tensor;

/// A loss and its gradient.
#[derive(Clone, Debug)]
pub struct LossGradient {
    /// The loss.
    pub loss: f64,
    /// Its gradient with respect to the logits, of their shape and type.
    pub gradient: Tensor,
}
