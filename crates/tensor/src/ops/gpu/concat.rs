//! Tensors side by side along the channels, each as it is or doubled in height and width; and back.

use super::argument::launch;
use super::device::Gpu;
use super::element_type::width;
use candle_core::{Result, Tensor, bail};

/// `[batch, height, width, sum of channels]` from contiguous tensors, each with the factor (1 or 2) by which it is
/// enlarged first.
///
/// # Errors
/// If there are none, or they differ in more than their channels.
pub(crate) fn join(gpu: &dyn Gpu, inputs: &[(&Tensor, usize)]) -> Result<Tensor> {
    let enlarged = |(tensor, scale): &(&Tensor, usize)| -> Result<[usize; 4]> {
        let (batch, height, width, channels) = tensor.dims4()?;
        Ok([batch, scale * height, scale * width, channels])
    };
    let shapes = inputs.iter().map(enlarged).collect::<Result<Vec<_>>>()?;
    let Some(&[batch, height, width_out, _]) = shapes.first() else { bail!("concat: nothing to join") };
    if let Some(other) = shapes.iter().find(|shape| shape[..3] != [batch, height, width_out]) {
        bail!("concat: {other:?} beside {:?}", shapes[0]);
    }
    let (total, dtype) = (shapes.iter().map(|shape| shape[3]).sum::<usize>(), inputs[0].0.dtype());
    let (pixels, joined) = (batch * height * width_out, gpu.empty(&[batch, height, width_out, total], dtype)?);
    let mut first = 0;
    for ((tensor, scale), [.., channels]) in inputs.iter().zip(shapes) {
        let at_once = width(dtype, &[channels, total, first]);
        let (threads, wide) = (pixels * (channels / at_once), at_once > 1);
        let (tensor, scale): (&Tensor, usize) = (tensor, *scale);
        launch!(
            gpu,
            "join",
            dtype,
            threads,
            [tensor, &joined, pixels, height, width_out, channels, total, first, scale, wide]
        )?;
        first += channels;
    }
    Ok(joined)
}

/// The gradient of the input of [`join`] that holds `channels` channels from `first` on and was enlarged by `scale`,
/// from the contiguous `gradient` of the whole.
///
/// # Errors
/// If `gradient` has fewer channels, or its size is no multiple of `scale`.
pub(crate) fn part(gpu: &dyn Gpu, gradient: &Tensor, first: usize, channels: usize, scale: usize) -> Result<Tensor> {
    let (batch, height, width_in, total) = gradient.dims4()?;
    if first + channels > total || channels == 0 || height % scale != 0 || width_in % scale != 0 {
        bail!("concat: channels {first}..{} by {scale} of a gradient of {:?}", first + channels, gradient.dims());
    }
    let (height, width_in, dtype) = (height / scale, width_in / scale, gradient.dtype());
    let (pixels, part) = (batch * height * width_in, gpu.empty(&[batch, height, width_in, channels], dtype)?);
    let at_once = width(dtype, &[channels, total, first]);
    let (threads, wide) = (pixels * (channels / at_once), at_once > 1);
    launch!(
        gpu,
        "part",
        dtype,
        threads,
        [gradient, &part, pixels, height, width_in, channels, total, first, scale, wide]
    )?;
    Ok(part)
}
