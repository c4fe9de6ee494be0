//! How a convolution moves over its input, and what happens to its output.

use candle_core::Tensor;

/// Stride, zero padding and dilation, the same vertically and horizontally, and groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Input pixels from one output to the next.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
    /// Input pixels from one tap of the kernel to the next.
    pub dilation: usize,
    /// Groups of channels, as many in the input as in the output: each output sees its own group of inputs only.
    pub groups: usize,
}

impl Conv2d {
    /// A convolution without dilation, in one group.
    pub fn new(stride: usize, padding: usize) -> Self {
        Conv2d { stride, padding, dilation: 1, groups: 1 }
    }
}

/// What is applied to the output before it is written: a bias `[out]`, then a residual of the output's shape, then a ReLU.
#[derive(Clone, Copy, Debug, Default)]
pub struct After<'t> {
    /// Added to each channel.
    pub bias: Option<&'t Tensor>,
    /// Added to each element.
    pub residual: Option<&'t Tensor>,
    /// Whether negative numbers become 0 after both.
    pub relu: bool,
}
