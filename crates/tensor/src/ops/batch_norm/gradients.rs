//! What the backward pass of a batch norm returns.

use candle_core::Tensor;

/// Gradients of a batch norm.
#[derive(Debug)]
pub struct BatchNormGradients {
    /// With respect to the input.
    pub x: Tensor,
    /// With respect to the scale, `[channels]`.
    pub weight: Tensor,
    /// With respect to the shift, `[channels]`.
    pub bias: Tensor,
    /// With respect to the residual, where there was one.
    pub residual: Tensor,
}
