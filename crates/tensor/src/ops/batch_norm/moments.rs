//! Mean and variance of every channel.

use super::shapes::channels;
use super::statistics::Moments;
use super::{cpu, gpu};
use crate::ops::gpu::of;
use crate::ops::host::{Element, elements, on_host, tensor};
use candle_core::{Result, Tensor, bail};

/// Moments of `x` `[.., channels]`.
///
/// # Errors
/// If there are fewer than two values to a channel, or the device or type is not supported.
pub(crate) fn moments(x: &Tensor) -> Result<Moments> {
    let (x, channels) = (x.contiguous()?, trainable_channels(x)?);
    match of("batch_norm", &x)? {
        Some(gpu) => gpu::moments(&*gpu, &x, channels, None),
        None => on_host!("batch_norm", &x, moments_cpu(&x, channels)),
    }
}

/// The number of channels of `x`.
///
/// # Errors
/// If there are fewer than two values to a channel: they have no variance.
pub(super) fn trainable_channels(x: &Tensor) -> Result<usize> {
    let channels = channels(x)?;
    if x.elem_count() < 2 * channels {
        bail!("batch_norm: {:?} has fewer than two values to a channel, so no variance to train with", x.dims());
    }
    Ok(channels)
}

fn moments_cpu<T: Element>(x: &Tensor, channels: usize) -> Result<Moments> {
    let (mean, variance) = cpu::moments::<T>(channels, &elements(x)?);
    Ok(Moments { mean: tensor(mean, &[channels])?, variance: tensor(variance, &[channels])? })
}
