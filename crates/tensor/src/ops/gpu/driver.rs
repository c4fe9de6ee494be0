//! The GPU as its driver knows it: how many, which, how much memory.

use super::libraries;
use crate::out_of_memory::is_out_of_memory;
use candle_core::backend::BackendDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, result, sys};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Device, Error, Result, bail};
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The GPU that this process computes on, and its number. It is never dropped: what candle keeps with it (cuBLAS) must not be
/// closed while the process ends, when the driver may be gone already.
static DEVICE: Mutex<Option<(usize, CudaDevice)>> = Mutex::new(None);

/// Number of GPUs.
///
/// # Errors
/// What the driver says instead.
pub(crate) fn count() -> std::result::Result<usize, String> {
    libraries::open()?;
    match CudaContext::device_count() {
        Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
        Err(error) => Err(match libraries::lacking() {
            Some(function) => format!("the NVIDIA driver has no {function}; a newer one may"),
            None => format!("the NVIDIA driver says {:?}", error.0),
        }),
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
    count().map_err(Error::Msg)?;
    let device = result::device::get(i32::try_from(ordinal).unwrap_or(i32::MAX)).w()?;
    let uuid = result::device::get_uuid(device).w()?;
    Ok(uuid.bytes.map(|byte| byte.to_ne_bytes()[0]))
}

/// Opens a GPU for this process, once.
///
/// # Errors
/// If there is no such GPU, it does not work, or the process uses another one already.
pub(crate) fn open(ordinal: usize) -> Result<Device> {
    libraries::open().map_err(Error::Msg)?;
    let mut known = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let device = match &*known {
        Some((other, _)) if *other != ordinal => bail!("GPU {other} is in use already: a process uses one GPU"),
        Some((_, device)) => device.clone(),
        None => start(ordinal).map_err(named)?,
    };
    *known = Some((ordinal, device.clone()));
    Ok(Device::Cuda(device))
}

/// Opens a GPU. Freed memory stays in its pool: giving it back to the driver takes longer than a step.
fn start(ordinal: usize) -> Result<CudaDevice> {
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
    Ok(device)
}

/// Whether each launch is waited for, so that a fault has a kernel's name: if the variable is set.
pub(super) static SYNC: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("MATSSL_GPU_SYNC").is_some_and(|value| value != "0"));

/// `error`, and which function a library lacks if a call of it was the cause.
pub(super) fn named(error: Error) -> Error {
    match libraries::lacking() {
        Some(function) => Error::Msg(format!(
            "{}: {function} was called, which CUDA's libraries here do not have; a newer driver or toolkit may",
            first_line(&error)
        )),
        None => error,
    }
}

/// An error's text without the backtrace that candle appends.
pub(super) fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
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
        Ok((free, total)) if is_out_of_memory(&error.to_string()) => candle_core::Error::Msg(format!(
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
