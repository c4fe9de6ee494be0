//! Which GPU, if any, a tensor lies on.

#[cfg(feature = "cuda")]
use super::cuda;
use super::device::Gpu;
use candle_core::{DType, Device, Result, Tensor, bail};
use std::cell::Cell;

/// Makes a GPU that stands in for a real one.
pub(super) type StandIn = fn() -> Box<dyn Gpu>;

thread_local! {
    /// What this thread's operations on the CPU's tensors run on instead, in tests.
    static STAND_IN: Cell<Option<StandIn>> = const { Cell::new(None) };
}

/// Runs `work` with `stand_in` for this thread's GPU, or with none.
pub(super) fn with_stand_in<R>(stand_in: Option<StandIn>, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<StandIn>);
    impl Drop for Restore {
        fn drop(&mut self) {
            STAND_IN.set(self.0);
        }
    }
    let _restore = Restore(STAND_IN.replace(stand_in));
    work()
}

/// Calls the GPU side of an operation where its tensor lies on one, and otherwise the CPU side, generic in
/// [`Element`](crate::ops::host::Element), with the type of `$tensor`.
macro_rules! on_device {
    ($operation:literal, $tensor:expr, $gpu:ident($($g:expr),* $(,)?), $host:ident($($h:expr),* $(,)?)) => {
        match $crate::ops::gpu::of($operation, $tensor)? {
            Some(gpu) => $gpu(&*gpu, $($g),*),
            None => $crate::ops::host::on_host!($operation, $tensor, $host($($h),*)),
        }
    };
}
pub(crate) use on_device;

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

/// Refuses a tensor on a GPU, for an operation that has a CPU side only.
///
/// # Errors
/// If `tensor` lies on a GPU.
pub(crate) fn no_side(operation: &str, tensor: &Tensor) -> Result<()> {
    match of(operation, tensor)? {
        Some(_) => bail!("{operation} has no GPU side yet: run this network on the CPU (`--device cpu`)"),
        None => Ok(()),
    }
}

/// The GPU that `device` is, if it is one.
///
/// # Errors
/// If this build has no side for it.
pub fn find(device: &Device) -> Result<Option<Box<dyn Gpu>>> {
    match device {
        Device::Cpu => Ok(STAND_IN.get().map(|stand_in| stand_in())),
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => Ok(Some(Box::new(cuda::Cuda::new(device)))),
        other => bail!("the operations have no side for {:?}", other.location()),
    }
}
