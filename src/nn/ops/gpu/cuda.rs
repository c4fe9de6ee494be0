//! An NVIDIA GPU, through candle's device and its stream.
//!
//! One process uses one GPU. Kernels run in the order in which one thread asks for them; batches come from another, which
//! waits until they are there (`device::send`).

use super::cudnn::Convolver;
use super::libraries;
use super::{Argument, BLOCK, Convolution, Gpu, kernel_name, words};
use candle_core::backend::BackendDevice;
use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg, result, sys,
};
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage, CudaStorageSlice, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use half::bf16;
use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

/// The kernels, compiled by build.rs.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// If set, new tensors are filled with NaN.
const POISON_VARIABLE: &str = "MATSSL_GPU_POISON";
/// Whether new tensors are filled with NaN: for checks that nothing reads what was not written.
static POISON: AtomicBool = AtomicBool::new(false);

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

/// Opens a GPU for this process. Freed memory stays in its pool: giving it back to the driver takes longer than a step.
///
/// # Errors
/// If there is no such GPU, or it does not work.
pub(crate) fn open(ordinal: usize) -> Result<Device> {
    libraries::open().map_err(candle_core::Error::Msg)?;
    POISON.store(std::env::var_os(POISON_VARIABLE).is_some(), Ordering::Relaxed);
    let device = CudaDevice::new(ordinal)?;
    // SAFETY: nothing is used before it is there or after it is freed: what one thread asks for happens in its stream's
    // order, and what another hands over is there (`device::send`).
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

thread_local!(static CONVOLVER: RefCell<Option<Convolver>> = const { RefCell::new(None) });

/// The device that a tensor lies on.
pub(super) struct Cuda {
    device: CudaDevice,
}

impl Cuda {
    pub(super) fn new(device: &CudaDevice) -> Self {
        Cuda { device: device.clone() }
    }

    fn allocate<T: CudaDType + DeviceRepr>(&self, count: usize) -> Result<CudaStorage> {
        // SAFETY: the caller's kernel writes it before anything reads it.
        match unsafe { self.device.alloc::<T>(count) } {
            Ok(slice) => Ok(CudaStorage::wrap_cuda_slice(slice, self.device.clone())),
            Err(error) => Err(explained(&self.device, error, count * size_of::<T>())),
        }
    }
}

impl Gpu for Cuda {
    fn empty(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let count = shape.iter().product();
        let storage = match dtype {
            DType::F32 => self.allocate::<f32>(count)?,
            DType::F64 => self.allocate::<f64>(count)?,
            DType::BF16 => self.allocate::<bf16>(count)?,
            DType::U8 => self.allocate::<u8>(count)?,
            other => bail!("no kernel writes {other:?}"),
        };
        let tensor = Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false);
        if POISON.load(Ordering::Relaxed) && count > 0 {
            let (address, bytes) = (self.address(&tensor)?, count * dtype.size_in_bytes());
            // SAFETY: the tensor has so many bytes; all ones are a NaN in every floating type.
            unsafe { sys::cuMemsetD8Async(address, 0xff, bytes, self.device.cuda_stream().cu_stream()) }
                .result()
                .w()?;
        }
        Ok(tensor)
    }

    fn upload(&self, values: &Tensor) -> Result<Tensor> {
        values.to_device(&Device::Cuda(self.device.clone()))
    }

    fn address(&self, tensor: &Tensor) -> Result<u64> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, _)) = layout.contiguous_offsets() else {
            bail!("a kernel takes contiguous tensors, not {layout:?}");
        };
        let Storage::Cuda(storage) = &*storage else {
            bail!("a tensor on {:?} among those of a GPU", tensor.device().location());
        };
        let stream = self.device.cuda_stream();
        let first = match &storage.slice {
            CudaStorageSlice::F32(slice) => slice.device_ptr(&stream).0,
            CudaStorageSlice::F64(slice) => slice.device_ptr(&stream).0,
            CudaStorageSlice::BF16(slice) => slice.device_ptr(&stream).0,
            CudaStorageSlice::U8(slice) => slice.device_ptr(&stream).0,
            CudaStorageSlice::I64(slice) => slice.device_ptr(&stream).0,
            _ => bail!("no kernel takes {:?}", tensor.dtype()),
        };
        Ok(first + (start * tensor.dtype().size_in_bytes()) as u64)
    }

    fn launch(&self, kernel: &str, dtype: DType, threads: usize, arguments: &[Argument<'_>]) -> Result<()> {
        if threads == 0 {
            return Ok(());
        }
        let words = words(self, kernel, threads, arguments)?;
        let function = self.device.get_or_load_custom_func(&kernel_name(kernel, dtype)?, "matssl-run", PTX)?;
        let blocks = threads.div_ceil(BLOCK) as u32;
        let config = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (BLOCK as u32, 1, 1), shared_mem_bytes: 0 };
        let mut builder = function.builder();
        for word in &words {
            builder.arg(word);
        }
        // SAFETY: kernels.cu takes these arguments, in this order (the tests run the same calls on the same kernels),
        // and every thread stays within the sizes among them.
        unsafe { builder.launch(config) }.w()?;
        Ok(())
    }

    fn convolve(&self, convolution: Convolution<'_>) -> Result<()> {
        CONVOLVER.with_borrow_mut(|convolver| {
            let convolver = match convolver {
                Some(convolver) => convolver,
                None => convolver.insert(Convolver::new(&self.device)?),
            };
            let address = |tensor: &Tensor| self.address(tensor);
            let tensors = [convolution.input, convolution.filter, convolution.output];
            let addresses = [address(tensors[0])?, address(tensors[1])?, address(tensors[2])?];
            convolver.run(&convolution, addresses)
        })
    }
}
