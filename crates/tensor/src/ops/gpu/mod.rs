//! The GPU side of the operations: what they ask of a device, and the kernels that all of them share.
//!
//! An operation says which kernel ([`kernels.cu`](self)) runs on how many threads with which arguments, or which
//! convolution cuDNN shall compute; it does not know what carries that out. With the feature `cuda` that is
//! [`cuda`]; in the tests it is [`pretend`], which runs the same kernels, compiled by a C++ compiler, on tensors in the
//! CPU's memory. So everything above the driver's own calls is tested on machines without a GPU.

mod choice;
#[cfg(feature = "cuda")]
mod copier;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cuda")]
mod cudnn;
#[cfg(feature = "cuda")]
pub(crate) mod driver;
pub(crate) mod feeder;
#[cfg(feature = "cuda")]
mod libraries;
#[doc(hidden)]
pub mod pretend;
pub mod probe;
mod side_by_side;
mod sums;
mod table;

use candle_core::{DType, Device, Result, Tensor, bail};
use feeder::Feeder;
pub(crate) use side_by_side::{join, part};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
pub use sums::{column_sums, strip_sums};
pub use table::{AdamStep, MomentumStep, Row, Table};

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

/// Sizes of a convolution for cuDNN; pairs are (vertical, horizontal).
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
    /// Of all three.
    pub sizes: Sizes,
    /// `[batch, height, width, in]`.
    pub input: &'a Tensor,
    /// `[out, kernel height, kernel width, in]`.
    pub filter: &'a Tensor,
    /// `[batch, height, width, out]`.
    pub output: &'a Tensor,
}

/// The words of a kernel's arguments, eight bytes each (of an integer the kernel reads the lower four).
///
/// # Errors
/// If a number or a tensor is larger than a kernel can count.
fn words(gpu: &dyn Gpu, kernel: &str, threads: usize, arguments: &[Argument<'_>]) -> Result<Vec<u64>> {
    // The last block's surplus threads count on, each by up to eight elements.
    let countable = |count: usize| match i32::try_from(count + 8 * BLOCK) {
        Ok(_) => Ok(()),
        Err(_) => bail!("{kernel}: {count} elements are too many for a GPU kernel; give a smaller `batch_size`"),
    };
    countable(threads.next_multiple_of(BLOCK))?;
    let word = |argument: &Argument<'_>| match *argument {
        Argument::Tensor(tensor) => countable(tensor.elem_count()).and_then(|()| gpu.address(tensor)),
        Argument::Nothing => Ok(0),
        Argument::Integer(value) => match i32::try_from(value) {
            Ok(value) => Ok(i64::from(value).cast_unsigned()),
            Err(_) => bail!("{kernel}: {value} is too large for a GPU kernel; give a smaller `batch_size`"),
        },
        Argument::Real(value) => Ok(value.to_bits()),
    };
    arguments.iter().map(word).collect()
}

/// Threads to a block.
const BLOCK: usize = 256;

/// A kernel's name for tensors of type `dtype`.
fn kernel_name(kernel: &str, dtype: DType) -> Result<String> {
    match dtype {
        DType::F32 => Ok(format!("{kernel}_f32")),
        DType::F64 => Ok(format!("{kernel}_f64")),
        DType::BF16 => Ok(format!("{kernel}_bf16")),
        other => bail!("{kernel} has no kernel for {other:?}"),
    }
}

/// A device that runs kernels, in the order in which they are launched.
pub trait Gpu {
    /// A contiguous tensor whose elements are yet to be written.
    fn empty(&self, shape: &[usize], dtype: DType) -> Result<Tensor>;

    /// The way of batches to the device, the same for all that this process computes on it.
    fn feeder(&self) -> Result<Arc<Feeder>>;

    /// `values` on the device.
    fn upload(&self, values: &Tensor) -> Result<Tensor>;

    /// The address of a contiguous tensor's first element.
    fn address(&self, tensor: &Tensor) -> Result<u64>;

    /// Runs `kernel` for tensors of type `dtype` on at least `threads` threads.
    fn launch(&self, kernel: &str, dtype: DType, threads: usize, arguments: &[Argument<'_>]) -> Result<()>;

    /// Computes what `convolution.direction` says, in float32 at least within. False if the device's library has no algorithm
    /// for it: then nothing was written.
    fn convolve(&self, convolution: Convolution<'_>) -> Result<bool>;
}

/// What libraries refused in this process, each once, in order.
static REFUSALS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes that a library's algorithm, or a whole library, refused work that another way then did.
fn note_refusal(what: &str) {
    let mut refusals = REFUSALS.lock().unwrap_or_else(PoisonError::into_inner);
    if !refusals.iter().any(|known| known == what) {
        refusals.push(what.to_owned());
    }
}

/// What libraries refused in this process and another way did instead, for records: it may have been slower.
pub fn refusals() -> Vec<String> {
    REFUSALS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Calls the GPU side of an operation where its tensor lies on one, and otherwise the CPU side, generic in
/// [`Element`](super::host::Element), with the type of `$tensor`.
macro_rules! on_device {
    ($operation:literal, $tensor:expr, $gpu:ident($($g:expr),* $(,)?), $host:ident($($h:expr),* $(,)?)) => {
        match $crate::ops::gpu::of($operation, $tensor)? {
            Some(gpu) => $gpu(&*gpu, $($g),*),
            None => $crate::ops::host::on_host!($operation, $tensor, $host($($h),*)),
        }
    };
}
pub(crate) use on_device;

/// The type that parameters, statistics and sums have beside tensors of type `dtype`.
pub fn wide_type(dtype: DType) -> DType {
    if dtype == DType::BF16 { DType::F32 } else { dtype }
}

/// Elements of type `dtype` that a thread takes at once: 16 bytes of them if all of `counts` allow it, else one.
pub fn width(dtype: DType, counts: &[usize]) -> usize {
    let width = 16 / dtype.size_in_bytes();
    if counts.iter().all(|count| count.is_multiple_of(width)) { width } else { 1 }
}

/// Whether float32 convolutions may round their factors to TF32.
static TF32: AtomicBool = AtomicBool::new(false);
/// Whether algorithms may be taken that do not give the same bits each time.
static NONDETERMINISTIC: AtomicBool = AtomicBool::new(false);

/// Sets how this process computes on GPUs: TF32 for float32 products, and only algorithms that give the same bits each
/// time. Without a call: neither TF32 nor any other algorithm.
pub fn set_arithmetic(tf32: bool, deterministic: bool) {
    TF32.store(tf32, Ordering::Relaxed);
    NONDETERMINISTIC.store(!deterministic, Ordering::Relaxed);
    #[cfg(feature = "cuda")]
    candle_core::cuda_backend::set_gemm_reduced_precision_f32(tf32);
}

#[cfg(feature = "cuda")]
fn arithmetic() -> (bool, bool) {
    (TF32.load(Ordering::Relaxed), !NONDETERMINISTIC.load(Ordering::Relaxed))
}

/// The device that `tensor` lies on; none if it is the CPU.
///
/// # Errors
/// If the operations have no kernels for its type.
pub fn of(operation: &str, tensor: &Tensor) -> Result<Option<Box<dyn Gpu>>> {
    let gpu = find(tensor.device())?;
    if gpu.is_some() && !matches!(tensor.dtype(), DType::F32 | DType::F64 | DType::BF16) {
        bail!("{operation} works in float32, float64 and bfloat16, not in {:?}", tensor.dtype());
    }
    Ok(gpu)
}

/// The GPU that `device` is, if it is one.
///
/// # Errors
/// If this build has no side for it.
pub fn find(device: &Device) -> Result<Option<Box<dyn Gpu>>> {
    match device {
        Device::Cpu if pretend::is_on() => Ok(Some(Box::new(pretend::Pretend))),
        Device::Cpu => Ok(None),
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => Ok(Some(Box::new(cuda::Cuda::new(device)))),
        other => bail!("the operations have no side for {:?}", other.location()),
    }
}

#[cfg(test)]
mod tests;
