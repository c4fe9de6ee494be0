//! Copies to an NVIDIA GPU, from page-locked memory and on a stream of their own.

use super::driver::explained;
use super::feeder::{Buffer, Copier, Mark};
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream, DevicePtr, PinnedHostSlice, result};
use candle_core::cuda_backend::{CudaDevice, CudaStorage, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{Error, Result, Storage, Tensor};
use std::sync::Arc;

/// The copying stream.
pub(super) struct Copies {
    device: CudaDevice,
    stream: Arc<CudaStream>,
}

impl Copies {
    /// On `device`, which tracks no events (`driver::open`): what has to wait is said by who uses the buffers.
    pub(super) fn new(device: &CudaDevice) -> Result<Self> {
        // One that does not wait for the legacy default stream, nor lets it wait.
        let stream = device.cuda_stream().context().new_stream().w()?;
        Ok(Copies { device: device.clone(), stream })
    }
}

impl Copier for Copies {
    fn buffer(&self, length: usize) -> Result<Box<dyn Buffer>> {
        let (context, mib) = (self.stream.context(), (length * size_of::<f32>()) >> 20);
        // No flags: memory that the processor caches as any other.
        // SAFETY: it is written right below, before it is read.
        let mut host = unsafe { context.alloc_pinned_with_flags::<f32>(length, 0) }.map_err(|error| {
            Error::Msg(format!("{mib} MiB of memory cannot be page-locked for a GPU: {:?}", error.0))
        })?;
        let start = host.as_mut_ptr().w()?;
        // SAFETY: `length` elements are there, and nothing else knows of them yet.
        unsafe { start.write_bytes(0, length) };
        // On this stream, on which it is freed, too: so it is there for the first copy.
        // SAFETY: the first copy writes what a kernel then reads.
        let device = unsafe { self.stream.alloc::<f32>(length) }
            .w()
            .map_err(|error| explained(&self.device, error, length * size_of::<f32>()))?;
        let address = device.device_ptr(&self.stream).0;
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(device, self.device.clone()));
        let device = Tensor::from_storage(storage, length, BackpropOp::none(), false);
        let [copied, read] = [context.new_event(None).w()?, context.new_event(None).w()?];
        let (copies, computing) = (self.stream.clone(), self.device.cuda_stream());
        Ok(Box::new(Both { host, device, address, copies, computing, copied, read }))
    }
}

/// Both sides of a buffer.
struct Both {
    host: PinnedHostSlice<f32>,
    device: Tensor,
    /// Of `device`.
    address: u64,
    copies: Arc<CudaStream>,
    /// candle's: whichever thread calls, its own.
    computing: Arc<CudaStream>,
    copied: CudaEvent,
    read: CudaEvent,
}

impl Buffer for Both {
    fn host(&mut self) -> Result<&mut [f32]> {
        self.host.as_mut_slice().w()
    }

    fn device(&self) -> &Tensor {
        &self.device
    }

    fn copy(&mut self, length: usize) -> Result<()> {
        // Binds the context to this thread, too.
        let host = &self.host.as_slice().w()?[..length];
        // SAFETY: the device's side is as long as the host's. Both stay until the copy is done: `drop` waits for it. Until then
        // nobody writes the host's side or reads the device's: `Feeder` waits for `Mark::Copied`, and holds streams by it.
        unsafe { result::memcpy_htod_async(self.address, host, self.copies.cu_stream()) }.w()
    }

    fn set(&mut self, mark: Mark) -> Result<()> {
        match mark {
            Mark::Copied => self.copied.record(&self.copies).w(),
            Mark::Read => self.read.record(&self.computing).w(),
        }
    }

    fn hold(&mut self, mark: Mark) -> Result<()> {
        match mark {
            Mark::Copied => self.computing.wait(&self.copied).w(),
            Mark::Read => self.copies.wait(&self.read).w(),
        }
    }

    fn wait(&mut self, mark: Mark) -> Result<()> {
        match mark {
            Mark::Copied => self.copied.synchronize().w(),
            Mark::Read => self.read.synchronize().w(),
        }
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        // For all streams: an error may have kept a mark from being set. If this fails the device is lost, and its memory
        // with it.
        let _ = self.copies.context().synchronize();
    }
}
