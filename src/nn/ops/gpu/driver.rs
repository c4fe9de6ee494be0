//! The GPU as its driver knows it: how many, which, how much memory.

use super::libraries;
use candle_core::backend::BackendDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, result, sys};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Device, Result};
use std::ffi::c_void;

/// Number of GPUs.
///
/// # Errors
/// What the driver says instead.
pub(crate) fn count() -> std::result::Result<usize, String> {
    libraries::open()?;
    match CudaContext::device_count() {
        Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
        Err(error) => Err(format!("the NVIDIA driver says {:?}", error.0)),
    }
}

/// The name of a GPU, without opening it.
///
/// # Errors
/// If there is no such GPU.
pub(crate) fn name(ordinal: usize) -> Result<String> {
    let ordinal = i32::try_from(ordinal).unwrap_or(i32::MAX);
    let device = result::device::get(ordinal).w()?;
    result::device::get_name(device).w()
}

/// The 16 bytes of a GPU's UUID (of a MIG instance, its own), without opening it.
///
/// # Errors
/// If there is no driver, or no such GPU.
pub(crate) fn uuid(ordinal: usize) -> Result<[u8; 16]> {
    // Initialises the driver.
    count().map_err(candle_core::Error::Msg)?;
    let device = result::device::get(i32::try_from(ordinal).unwrap_or(i32::MAX)).w()?;
    let uuid = result::device::get_uuid(device).w()?;
    Ok(uuid.bytes.map(|byte| byte.to_ne_bytes()[0]))
}

/// Opens a GPU for this process. Freed memory stays in its pool: giving it back to the driver takes longer than a step.
///
/// # Errors
/// If there is no such GPU, or it does not work.
pub(crate) fn open(ordinal: usize) -> Result<Device> {
    libraries::open().map_err(candle_core::Error::Msg)?;
    let device = CudaDevice::new(ordinal)?;
    // SAFETY: nothing is used before it is there or after it is freed: what one thread asks for happens in its stream's
    // order, and what comes on another is waited for (`Feeder`).
    unsafe { device.disable_event_tracking() };
    // Without pools, as on some shared GPUs, every allocation goes to the driver.
    if device.cuda_stream().context().has_async_alloc() {
        let mut threshold = u64::MAX;
        let value = (&raw mut threshold).cast::<c_void>();
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the attribute is a u64, which outlives the call.
        unsafe { sys::cuMemPoolSetAttribute(pool(&device)?, attribute, value) }.result().w()?;
    }
    Ok(Device::Cuda(device))
}

fn pool(device: &CudaDevice) -> Result<sys::CUmemoryPool> {
    let mut pool = std::ptr::null_mut();
    // SAFETY: the context keeps its device; the pool is the device's own.
    unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, device.cuda_stream().context().cu_device()) }
        .result()
        .w()?;
    Ok(pool)
}

/// A number that the pool keeps of itself.
fn pool_bytes(device: &CudaDevice, attribute: sys::CUmemPool_attribute) -> Result<u64> {
    let mut bytes = 0u64;
    let value = (&raw mut bytes).cast::<c_void>();
    // SAFETY: the attributes asked for are u64, which outlives the call.
    unsafe { sys::cuMemPoolGetAttribute(pool(device)?, attribute, value) }.result().w()?;
    Ok(bytes)
}

/// Bytes of GPU memory that this process's tensors took at most.
pub(crate) fn peak_memory(device: &CudaDevice) -> Result<u64> {
    pool_bytes(device, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)
}

/// Free and total bytes of GPU memory. What the pool holds in reserve is free for this process.
pub(crate) fn memory(device: &CudaDevice) -> Result<(u64, u64)> {
    let (free, total) = device.cuda_stream().context().mem_get_info().w()?;
    let bytes = |attribute| pool_bytes(device, attribute).unwrap_or(0);
    let reserved = bytes(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
    let used = bytes(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    Ok((free as u64 + reserved.saturating_sub(used), total as u64))
}

/// The error of asking for `bytes`, with numbers if memory ran out.
pub(crate) fn explained(device: &CudaDevice, error: candle_core::Error, bytes: usize) -> candle_core::Error {
    match memory(device) {
        Ok((free, total)) if error.to_string().contains("OUT_OF_MEMORY") => candle_core::Error::Msg(format!(
            "the GPU is out of memory: {} MiB were asked for, and {} of {} MiB are free; give a smaller `batch_size` or \
             `crop_size`",
            bytes >> 20,
            free >> 20,
            total >> 20
        )),
        _ => error,
    }
}

/// Name, compute capability and driver, e.g. `NVIDIA H100 80GB HBM3, compute capability 9.0, driver for CUDA 13.0`.
pub(crate) fn describe(device: &CudaDevice) -> Result<String> {
    let stream = device.cuda_stream();
    let context = stream.context();
    let (major, minor) = context.compute_capability().w()?;
    let mut version = 0;
    // SAFETY: writes an int.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().w()?;
    let (driver, part) = (version / 1000, version % 1000 / 10);
    let name = context.name().w()?;
    Ok(format!("{name}, compute capability {major}.{minor}, driver for CUDA {driver}.{part}"))
}
