//! An NVIDIA GPU, through candle's device and its stream.
//!
//! One process uses one GPU. Kernels run in the order in which one thread asks for them; batches come on a stream of their
//! own, and the kernel that reads one waits for it ([`Feeder`]).

use super::argument::Argument;
use super::convolution::{Convolution, Direction, Sizes};
use super::copier::Copies;
use super::cudnn::Convolver;
use super::device::Gpu;
use super::driver::{SYNC, explained, first_line, named};
use super::feeder::Feeder;
use super::words::{BLOCK, kernel_name, words};
use candle_core::cuda_backend::cudarc::driver::{DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg, sys};
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage, CudaStorageSlice, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{DType, Device, Error, Result, Storage, Tensor, bail};
use half::bf16;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::thread::ThreadId;

/// The kernels, compiled by build.rs.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Whether new tensors are filled with NaN, for checks that nothing reads what was not written: if the variable is set.
static POISON: LazyLock<bool> = LazyLock::new(|| std::env::var_os("MATSSL_GPU_POISON").is_some());

/// The number of the GPU in use and its feeder, with its buffers. It is never dropped: its memory ends with the process.
static FEEDER: Mutex<Option<(usize, Arc<Feeder>)>> = Mutex::new(None);

/// cuDNN. It is never dropped either.
static CONVOLVER: Mutex<Option<Convolver>> = Mutex::new(None);

/// Asserts, in debug builds, that one thread asks for all kernels: candle gives each thread a stream of its own, and nothing
/// orders two of them.
fn assert_one_thread() {
    static LAUNCHING: OnceLock<ThreadId> = OnceLock::new();
    let this = std::thread::current().id();
    debug_assert_eq!(*LAUNCHING.get_or_init(|| this), this, "two threads launch kernels");
}

/// The device that a tensor lies on.
pub(super) struct Cuda {
    device: CudaDevice,
}

impl Cuda {
    pub(super) fn new(device: &CudaDevice) -> Self {
        Cuda { device: device.clone() }
    }

    /// `error` of `what` was asked for. An earlier launch's fault may show only now, unless each is waited for.
    fn at(&self, what: &dyn Fn() -> String, error: Error) -> Error {
        let error = named(error);
        let hint = if *SYNC { "" } else { " (or an earlier one: `MATSSL_GPU_SYNC=1` waits for each and says which)" };
        Error::Msg(format!("{}{hint}: {}", what(), first_line(&error)))
    }

    /// With `MATSSL_GPU_SYNC`, waits for what was asked for.
    fn finish(&self, what: &dyn Fn() -> String) -> Result<()> {
        if *SYNC {
            self.device.cuda_stream().synchronize().w().map_err(|error| self.at(what, error))?;
        }
        Ok(())
    }

    fn allocate<T: CudaDType + DeviceRepr>(&self, count: usize) -> Result<CudaStorage> {
        // SAFETY: the caller's kernel writes it before anything reads it.
        match unsafe { self.device.alloc::<T>(count) } {
            Ok(slice) => Ok(CudaStorage::wrap_cuda_slice(slice, self.device.clone())),
            Err(error) => Err(explained(&self.device, error, count * size_of::<T>())),
        }
    }
}

/// The names of all kernels, after each was looked up.
///
/// # Errors
/// The driver's.
pub(super) fn load_all(device: &CudaDevice) -> Result<Vec<&'static str>> {
    let names = PTX.lines().filter_map(|line| line.split_once(".entry ")?.1.split('(').next());
    let names: Vec<&str> = names.map(str::trim).collect();
    for name in &names {
        let found = device.get_or_load_custom_func(name, "matssl-run", PTX).map_err(named);
        found.map_err(|error| Error::Msg(format!("kernel {name}: {}", first_line(&error))))?;
    }
    Ok(names)
}

/// cuDNN's algorithms for a convolution, in the order in which they would be tried.
///
/// # Errors
/// cuDNN's.
pub(super) fn algorithms(device: &CudaDevice, direction: Direction, sizes: Sizes, dtype: DType) -> Result<Vec<String>> {
    with_convolver(device, |convolver| convolver.candidates_of(direction, sizes, dtype)).map_err(named)
}

/// Lets `work` use cuDNN, which the first call opens.
fn with_convolver<R>(device: &CudaDevice, work: impl FnOnce(&mut Convolver) -> Result<R>) -> Result<R> {
    let mut known = CONVOLVER.lock().unwrap_or_else(PoisonError::into_inner);
    work(match &mut *known {
        Some(convolver) => convolver,
        None => known.insert(Convolver::new(device)?),
    })
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
        if *POISON && count > 0 {
            let (address, bytes) = (self.address(&tensor)?, count * dtype.size_in_bytes());
            // SAFETY: the tensor has so many bytes; all ones are a NaN in every floating type.
            unsafe { sys::cuMemsetD8Async(address, 0xff, bytes, self.device.cuda_stream().cu_stream()) }
                .result()
                .w()?;
        }
        Ok(tensor)
    }

    fn feeder(&self) -> Result<Arc<Feeder>> {
        let mut known = FEEDER.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.device.cuda_stream().context().ordinal();
        let feeder = match &*known {
            Some((other, _)) if *other != number => bail!("batches go to GPU {other} already: a process uses one GPU"),
            Some((_, feeder)) => feeder.clone(),
            None => Arc::new(Feeder::new(Box::new(Copies::new(&self.device)?))),
        };
        *known = Some((number, feeder.clone()));
        Ok(feeder)
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
        assert_one_thread();
        let words = words(self, kernel, threads, arguments)?;
        let name = kernel_name(kernel, dtype)?;
        let what = || format!("kernel {name} on {threads} threads");
        let function = self.device.get_or_load_custom_func(&name, "matssl-run", PTX);
        let function = function.map_err(|error| self.at(&what, error))?;
        let blocks = threads.div_ceil(BLOCK) as u32;
        let config = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (BLOCK as u32, 1, 1), shared_mem_bytes: 0 };
        let mut builder = function.builder();
        for word in &words {
            builder.arg(word);
        }
        // SAFETY: kernels.cu takes these arguments, in this order (the tests run the same calls on the same kernels),
        // and every thread stays within the sizes among them.
        unsafe { builder.launch(config) }.w().map_err(|error| self.at(&what, error))?;
        self.finish(&what)
    }

    fn convolve(&self, convolution: Convolution<'_>) -> Result<bool> {
        assert_one_thread();
        let address = |tensor: &Tensor| self.address(tensor);
        let tensors = [convolution.input, convolution.filter, convolution.output];
        let addresses = [address(tensors[0])?, address(tensors[1])?, address(tensors[2])?];
        let run = |convolver: &mut Convolver| convolver.run(&convolution, addresses);
        with_convolver(&self.device, run).map_err(named)
    }
}
