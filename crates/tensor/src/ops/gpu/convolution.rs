//! A convolution as cuDNN is asked for it.

use candle_core::Tensor;

/// Which of its three tensors a convolution computes from the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The output.
    Forward,
    /// The gradient of the input.
    Data,
    /// The gradient of the filter.
    Filter,
}

/// The sizes of a convolution; pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Input, `[batch, height, width, in]`.
    pub input: [usize; 4],
    /// Filter, `[out, kernel height, kernel width, in]`.
    pub filter: [usize; 4],
    /// Output, `[batch, height, width, out]`.
    pub output: [usize; 4],
    /// Zeros on each side.
    pub padding: [usize; 2],
    /// Pixels from one output to the next.
    pub stride: usize,
    /// Pixels from one tap to the next.
    pub dilation: usize,
}

/// A convolution's tensors, all of one type (float32 or bfloat16) and contiguous; one of them is written.
#[derive(Clone, Copy)]
pub struct Convolution<'a> {
    /// Which of the three is written.
    pub direction: Direction,
    /// The sizes of all three tensors.
    pub sizes: Sizes,
    /// `[batch, height, width, in]`.
    pub input: &'a Tensor,
    /// `[out, kernel height, kernel width, in]`.
    pub filter: &'a Tensor,
    /// `[batch, height, width, out]`.
    pub output: &'a Tensor,
}
