//! Questions of `matssl-run doctor` to the layer between the operations and a GPU's driver.

use super::convolution::{Direction, Sizes};
use super::find::with_stand_in;
pub use super::opened::Opened;
use candle_core::{DType, Device, Result};

/// Runs `work` on the CPU, also where a test has set a stand-in for the GPU.
pub fn on_cpu<R>(work: impl FnOnce() -> R) -> R {
    with_stand_in(None, work)
}

/// CUDA's libraries, opened; none in a build without CUDA.
pub fn libraries() -> &'static [Opened] {
    #[cfg(feature = "cuda")]
    return super::libraries::all();
    #[cfg(not(feature = "cuda"))]
    &[]
}

/// The names of all kernels, after each was looked up on `device`; none on a CPU.
///
/// # Errors
/// The driver's, if it does not take the kernels, or one is not there.
pub fn kernels(device: &Device) -> Result<Vec<&'static str>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => super::cuda::load_all(device),
        _ => Ok(Vec::new()),
    }
}

/// The algorithms that would be tried for a convolution on `device`, in order, without running any; none on a CPU.
///
/// # Errors
/// cuDNN's, if it cannot be asked.
pub fn algorithms(device: &Device, direction: Direction, sizes: Sizes, dtype: DType) -> Result<Vec<String>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => super::cuda::algorithms(device, direction, sizes, dtype),
        _ => {
            let _ = (direction, sizes, dtype);
            Ok(Vec::new())
        }
    }
}
