//! The gradients of a convolution, and which of them are asked for.

use candle_core::Tensor;

/// Gradients of a convolution.
#[derive(Debug)]
pub struct Conv2dGradients {
    /// With respect to each input, if asked for.
    pub inputs: Vec<Option<Tensor>>,
    /// With respect to the weight, if asked for.
    pub weight: Option<Tensor>,
    /// With respect to the bias, if asked for.
    pub bias: Option<Tensor>,
}

/// Which gradients [`backward`](super::backward()) computes.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// For each input, whether its gradient.
    pub inputs: Vec<bool>,
    /// Whether the weight's.
    pub weight: bool,
    /// Whether the bias's.
    pub bias: bool,
}
