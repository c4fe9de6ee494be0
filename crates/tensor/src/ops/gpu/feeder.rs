//! Copies batches to a GPU. Pixels are written into page-locked memory. A CUDA stream of its own copies them while the network
//! computes. The kernel that normalises them waits for the copy. (A training's thread does, too, so that a late copy is
//! counted as waiting for data: [`Pixels::wait`].) Buffers, of both sides together, are used again from step to step: what that has to wait for is said here, to a [`Buffer`] that only does it.

use candle_core::{Result, Tensor};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How pixels from 0 to 255 lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// u8 `[batch, height, width, channels]`.
    Bytes,
    /// f32 `[batch, channels, height, width]`.
    Planes,
}

impl Form {
    /// Bytes to a value.
    pub(crate) fn size(self) -> usize {
        if self == Form::Bytes { 1 } else { 4 }
    }
}

/// A point in a buffer's life that its next use waits for. A mark that was never set counts as passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The copy to the device is done: set on the copying stream.
    Copied,
    /// The kernel that reads the copy is done: set on the stream of the calling thread.
    Read,
}

/// Memory on both sides, and what a driver does with it.
pub(crate) trait Buffer: Send {
    /// The host's side.
    fn host(&mut self) -> Result<&mut [f32]>;

    /// The device's side: f32, as long.
    fn device(&self) -> &Tensor;

    /// Asks the copying stream to copy the first `length` elements.
    fn copy(&mut self, length: usize) -> Result<()>;

    /// Sets `mark` behind all that its stream was asked to do.
    fn set(&mut self, mark: Mark) -> Result<()>;

    /// Lets the other stream than that of `mark` do what it is asked from now on only when `mark` is passed.
    fn hold(&mut self, mark: Mark) -> Result<()>;

    /// Returns when `mark` is passed.
    fn wait(&mut self, mark: Mark) -> Result<()>;
}

/// Makes buffers. A buffer that is dropped waits for its copies first.
pub(crate) trait Copier: Send + Sync {
    /// A buffer of `length` arbitrary f32.
    fn buffer(&self, length: usize) -> Result<Box<dyn Buffer>>;
}

/// Copies batches to a GPU.
pub struct Feeder {
    copier: Box<dyn Copier>,
    /// The buffer that was returned first is in front: it is the least likely to be in use still.
    free: Mutex<VecDeque<Box<dyn Buffer>>>,
}

impl Feeder {
    pub(crate) fn new(copier: Box<dyn Copier>) -> Self {
        Feeder { copier, free: Mutex::default() }
    }

    /// Room for bytes of `shape` `[batch, height, width, channels]`, with 1 or 3 channels.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn bytes(self: &Arc<Self>, shape: [usize; 4]) -> Result<Room> {
        self.room(Form::Bytes, shape)
    }

    /// Room for planes `[batch, channels, height, width]` in f32, of `shape` `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn planes(self: &Arc<Self>, shape: [usize; 4]) -> Result<Room> {
        self.room(Form::Planes, shape)
    }

    /// Starts to copy a batch's `labels`, from page-locked memory: a copy from other memory would delay the computing stream.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn labels(self: &Arc<Self>, labels: &[u8]) -> Result<Pixels> {
        let mut room = self.bytes([1, 1, labels.len(), 1])?;
        room.bytes_mut()?.copy_from_slice(labels);
        room.send()
    }

    fn room(self: &Arc<Self>, form: Form, shape: [usize; 4]) -> Result<Room> {
        let values = shape.iter().product::<usize>();
        let length = (form.size() * values).div_ceil(size_of::<f32>()).max(1);
        let mut buffer = match self.take(length) {
            Some(buffer) => buffer,
            None => self.copier.buffer(length)?,
        };
        // Its last copy may still be reading the memory that will be written.
        buffer.wait(Mark::Copied)?;
        Ok(Room { feeder: self.clone(), buffer, form, shape, values, length })
    }

    /// The smallest buffer of at least `length` elements. If all are too small, one of them makes way for a larger one, so that there
    /// are never more than are in use at once; what a validation made larger stays so.
    fn take(&self, length: usize) -> Option<Box<dyn Buffer>> {
        let mut free = self.free();
        let lengths = free.iter().map(|buffer| buffer.device().elem_count()).enumerate();
        let fits = lengths.filter(|(_, held)| *held >= length).min_by_key(|(_, held)| *held).map(|(index, _)| index);
        let taken = free.remove(fits.unwrap_or(0));
        drop(free);
        taken.filter(|_| fits.is_some())
    }

    fn free(&self) -> MutexGuard<'_, VecDeque<Box<dyn Buffer>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory for a batch that is being written.
pub struct Room {
    feeder: Arc<Feeder>,
    buffer: Box<dyn Buffer>,
    form: Form,
    shape: [usize; 4],
    values: usize,
    length: usize,
}

impl Room {
    /// The bytes to write, arbitrary at first; empty if this is room for planes.
    ///
    /// # Errors
    /// The driver's.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        let values = if self.form == Form::Bytes { self.values } else { 0 };
        let host = self.buffer.host()?;
        // SAFETY: as many bytes as the elements have, for as long as they are borrowed; any bytes are f32s.
        let bytes = unsafe { std::slice::from_raw_parts_mut(host.as_mut_ptr().cast::<u8>(), size_of_val(host)) };
        Ok(&mut bytes[..values])
    }

    /// The planes to write, arbitrary at first; empty if this is room for bytes.
    ///
    /// # Errors
    /// The driver's.
    pub fn planes_mut(&mut self) -> Result<&mut [f32]> {
        let values = if self.form == Form::Planes { self.values } else { 0 };
        Ok(&mut self.buffer.host()?[..values])
    }

    /// Starts the copy and returns without waiting for it.
    ///
    /// # Errors
    /// The driver's.
    pub fn send(mut self) -> Result<Pixels> {
        // An earlier step may not have read the device's side yet.
        self.buffer.hold(Mark::Read)?;
        self.buffer.copy(self.length)?;
        self.buffer.set(Mark::Copied)?;
        let Room { feeder, buffer, form, shape, .. } = self;
        Ok(Pixels { feeder, buffer, form, shape })
    }
}

/// A batch that is being copied to the GPU, or has been.
pub struct Pixels {
    feeder: Arc<Feeder>,
    buffer: Box<dyn Buffer>,
    form: Form,
    shape: [usize; 4],
}

impl Pixels {
    /// Returns when the batch has been copied. Not required before [`Pixels::read`]; it lets the caller measure the wait.
    ///
    /// # Errors
    /// The driver's.
    pub(crate) fn wait(&mut self) -> Result<()> {
        self.buffer.wait(Mark::Copied)
    }

    /// How the pixels lie in memory, and their shape `[batch, height, width, channels]`.
    pub(crate) fn layout(&self) -> (Form, [usize; 4]) {
        (self.form, self.shape)
    }

    /// Launches what reads the batch on the device (f32 memory that begins with it), and gives the buffer back.
    ///
    /// # Errors
    /// Those of `launch`, and the driver's.
    pub fn read<R>(mut self, launch: impl FnOnce(&Tensor) -> Result<R>) -> Result<R> {
        self.buffer.hold(Mark::Copied)?;
        let launched = launch(self.buffer.device());
        // Also after an error: something may have been launched.
        self.buffer.set(Mark::Read)?;
        self.feeder.free().push_back(self.buffer);
        launched
    }
}

#[cfg(test)]
mod tests;
