//! The arguments of kernels.

use candle_core::Tensor;

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub enum Argument<'a> {
    /// The address of a contiguous tensor's first element. What the kernel writes it must not be read meanwhile:
    /// kernels run one after the other.
    Tensor(&'a Tensor),
    /// Null.
    Nothing,
    /// `integer` in kernels.cu.
    Integer(i64),
    /// `double` in kernels.cu.
    Real(f64),
}

impl<'a> From<&'a Tensor> for Argument<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Argument::Tensor(tensor)
    }
}

impl<'a> From<Option<&'a Tensor>> for Argument<'a> {
    fn from(tensor: Option<&'a Tensor>) -> Self {
        tensor.map_or(Argument::Nothing, Argument::Tensor)
    }
}

impl From<usize> for Argument<'_> {
    fn from(value: usize) -> Self {
        Argument::Integer(value as i64)
    }
}

impl From<i64> for Argument<'_> {
    fn from(value: i64) -> Self {
        Argument::Integer(value)
    }
}

impl From<bool> for Argument<'_> {
    fn from(value: bool) -> Self {
        Argument::Integer(value.into())
    }
}

impl From<f64> for Argument<'_> {
    fn from(value: f64) -> Self {
        Argument::Real(value)
    }
}

/// Runs a kernel: `launch!(gpu, "add", dtype, threads, [a, b, sum, elements])`.
macro_rules! launch {
    ($gpu:expr, $kernel:literal, $dtype:expr, $threads:expr, [$($argument:expr),* $(,)?]) => {
        $gpu.launch($kernel, $dtype, $threads, &[$($crate::ops::gpu::Argument::from($argument)),*])
    };
}
pub(crate) use launch;
