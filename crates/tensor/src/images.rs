//! Batches of images, from the loader to the network.

use super::Parameters;
use super::ops::{gpu, normalize};
use candle_core::{Device, Result, Tensor, bail};
use std::sync::Arc;

pub use super::ops::gpu::feeder::{Feeder, Pixels, Room};

/// What copies batches to `device`; none for a CPU.
///
/// # Errors
/// If the device does not work.
pub fn feeder(device: &Device) -> Result<Option<Arc<Feeder>>> {
    gpu::find(device)?.map(|gpu| gpu.feeder()).transpose()
}

/// A batch of images.
pub enum Images {
    /// Normalised `[batch, height, width, in_channels]`, on the CPU.
    Ready(Tensor),
    /// Pixels on a GPU, or being copied there, which it will normalise.
    Sent(Pixels),
}

impl Images {
    /// The same batch, after its copy has ended: that is part of the time of waiting for a batch.
    ///
    /// # Errors
    /// If the copy fails.
    pub fn arrived(mut self) -> Result<Self> {
        if let Images::Sent(pixels) = &mut self {
            pixels.wait()?;
        }
        Ok(self)
    }

    /// What a [`Tape`](super::Tape) of `parameters` takes as its input, on its device in the type of its activations. What was
    /// sent to a GPU before normalisation becomes `[batch, height, width, 3]`: channel `c` times `factors[0][c]`, plus `factors[1][c]`.
    ///
    /// # Errors
    /// If there is no memory for it, or the images were sent elsewhere.
    pub fn normalized(self, parameters: &Parameters, factors: [[f32; 3]; 2]) -> Result<Tensor> {
        match (self, gpu::find(parameters.device())?) {
            // Converted on the CPU: the GPU side has no operation for it.
            (Images::Ready(images), _) => images.to_dtype(parameters.activations())?.to_device(parameters.device()),
            (Images::Sent(pixels), Some(gpu)) => {
                let (form, shape) = pixels.layout();
                let dtype = parameters.activations();
                pixels.read(|pixels| normalize::forward(&*gpu, pixels, form, shape, factors, dtype))
            }
            (Images::Sent(_), None) => bail!("the images are on a GPU, and the network is on the CPU"),
        }
    }
}
