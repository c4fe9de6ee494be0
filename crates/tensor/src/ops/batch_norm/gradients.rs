//! What the backward pass of a batch norm returns.

use candle_core::Tensor;

/// Gradients of a batch norm.
#[derive(Debug)]
pub(crate) struct BatchNormGradients {
    /// With respect to the input.
    pub(crate) x: Tensor,
    /// With respect to the scale, `[channels]`.
    pub(crate) weight: Tensor,
    /// With respect to the shift, `[channels]`.
    pub(crate) bias: Tensor,
    /// With respect to the residual, where there was one.
    pub(crate) residual: Tensor,
}
