//! What the operations ask of a GPU.

use super::argument::Argument;
use super::convolution::Convolution;
use super::feeder::Feeder;
use candle_core::{DType, Result, Tensor};
use std::sync::Arc;

/// A device that runs kernels, in the order in which they are launched.
pub trait Gpu {
    /// A contiguous tensor whose elements are yet to be written.
    fn empty(&self, shape: &[usize], dtype: DType) -> Result<Tensor>;

    /// What copies batches to the device: one for the whole process.
    fn feeder(&self) -> Result<Arc<Feeder>>;

    /// `values` on the device.
    fn upload(&self, values: &Tensor) -> Result<Tensor>;

    /// The address of a contiguous tensor's first element.
    fn address(&self, tensor: &Tensor) -> Result<u64>;

    /// Runs `kernel` for tensors of type `dtype` on at least `threads` threads.
    fn launch(&self, kernel: &str, dtype: DType, threads: usize, arguments: &[Argument<'_>]) -> Result<()>;

    /// Computes what `convolution.direction` says, with sums in float32 or better. False if the device's library has no
    /// algorithm for it: then nothing was written.
    fn convolve(&self, convolution: Convolution<'_>) -> Result<bool>;
}
