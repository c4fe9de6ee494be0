//! The output of a convolution.

use super::algorithm::Algorithm;
use super::epilogue::Epilogue;
use super::geometry::Geometry;
use super::options::{After, Conv2d};
use super::source::{self, Joined, contiguous, first, with_sources};
use super::winograd::two_by_two;
use super::{gpu, tapwise, unfolded, winograd};
use crate::ops::gpu::of;
use crate::ops::host::{Element, elements, on_host, tensor};
use candle_core::{Result, Tensor, bail};

/// Convolves in one group the concatenation of `inputs`, `[batch, height, width, in]`, with `weight` `[kernel height, kernel width, in,
/// out]`; the output is `[batch, out height, out width, out]`.
///
/// # Errors
/// If the shapes do not fit one another, or the device or type is not supported.
pub(super) fn forward(inputs: &[Joined], weight: &Tensor, after: After<'_>, options: Conv2d) -> Result<Tensor> {
    let (inputs, weight) = (contiguous(inputs)?, weight.contiguous()?);
    let geometry = Geometry::new(&source::shape(&inputs)?, weight.dims(), &Conv2d { groups: 1, ..options })?;
    let shape = geometry.shape();
    if let Some(bias) = after.bias.filter(|bias| bias.dims() != [shape[3]]) {
        bail!("conv2d: a bias of {:?} for {} channels", bias.dims(), shape[3]);
    }
    if let Some(residual) = after.residual.filter(|residual| residual.dims() != shape) {
        bail!("conv2d: a residual of {:?} to an output of {shape:?}", residual.dims());
    }
    let residual = after.residual.map(Tensor::contiguous).transpose()?;
    let after = After { residual: residual.as_ref(), ..after };
    match of("conv2d", first(&inputs)?)? {
        Some(gpu) => gpu::forward(&*gpu, &inputs, &weight, after, &geometry),
        None => on_host!("conv2d", first(&inputs)?, forward_cpu(&inputs, &weight, after, &geometry)),
    }
}

fn forward_cpu<T: Element>(
    inputs: &[Joined],
    weight: &Tensor,
    after: After<'_>,
    geometry: &Geometry,
) -> Result<Tensor> {
    let shape = geometry.shape();
    let (bias, residual) = (after.bias.map(elements::<T>).transpose()?, after.residual.map(elements::<T>).transpose()?);
    let epilogue = Epilogue { bias: bias.as_deref(), residual: residual.as_deref(), relu: after.relu };
    let weight = elements(weight)?;
    let output = match Algorithm::choose(geometry, inputs) {
        Algorithm::Winograd => {
            let size = [geometry.batch, geometry.size[0], geometry.size[1]];
            with_sources(inputs, |inputs| winograd::forward(size, inputs, &weight, shape[3], &epilogue))?
        }
        Algorithm::Winograd2x2 => {
            let (batch, channels) = (geometry.batch, [geometry.channels_in, geometry.channels_out]);
            two_by_two::forward(batch, channels, &elements(&source::join(inputs)?)?, &weight, &epilogue)
        }
        Algorithm::Tapwise => tapwise::forward(geometry, &elements(&source::join(inputs)?)?, &weight, &epilogue),
        Algorithm::Unfolded => {
            unfolded::forward(&geometry.flattened(), &elements(&source::join(inputs)?)?, &weight, &epilogue)
        }
    };
    tensor(output, &shape)
}
