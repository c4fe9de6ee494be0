//! The gradients of a convolution.

use super::algorithm::Algorithm;
use super::geometry::Geometry;
use super::gradients::{Conv2dGradients, Wanted};
use super::options::Conv2d;
use super::source::{self, Joined, contiguous, first, with_sources};
use super::winograd::two_by_two;
use super::{gpu, tapwise, unfolded, winograd};
use crate::ops::gpu::of;
use crate::ops::host::{Element, elements, on_host, tensor};
use candle_core::{Result, Tensor, bail};

/// Gradients of [`forward`](super::forward()) with nothing or a bias after it, given `gradient` of its output.
///
/// # Errors
/// As [`forward`](super::forward()).
pub(super) fn backward(
    inputs: &[Joined],
    weight: &Tensor,
    gradient: &Tensor,
    options: Conv2d,
    wanted: &Wanted,
) -> Result<Conv2dGradients> {
    let (inputs, weight, gradient) = (contiguous(inputs)?, weight.contiguous()?, gradient.contiguous()?);
    let geometry = Geometry::new(&source::shape(&inputs)?, weight.dims(), &Conv2d { groups: 1, ..options })?;
    if gradient.dims() != geometry.shape() {
        bail!("conv2d: a gradient of {:?} for weight {:?} and {geometry:?}", gradient.dims(), weight.dims());
    }
    match of("conv2d", first(&inputs)?)? {
        Some(gpu) => gpu::backward(&*gpu, &inputs, &weight, &gradient, &geometry, wanted),
        None => on_host!("conv2d", first(&inputs)?, backward_cpu(&inputs, &weight, &gradient, &geometry, wanted)),
    }
}

fn backward_cpu<T: Element>(
    inputs: &[Joined],
    weight: &Tensor,
    gradient: &Tensor,
    geometry: &Geometry,
    wanted: &Wanted,
) -> Result<Conv2dGradients> {
    let (g, w) = (elements::<T>(gradient)?, elements::<T>(weight)?);
    let (g, w): (&[T], &[T]) = (&g, &w);
    let out = geometry.channels_out;
    let bias = wanted.bias.then(|| tensor(unfolded::backward_bias(out, g), &[out])).transpose()?;
    let any = wanted.inputs.contains(&true);
    // Both at once: when the tasks of one run out, threads go on with the other's.
    let (found, d_weight) = match Algorithm::choose(geometry, inputs) {
        Algorithm::Winograd => {
            let size = [geometry.batch, geometry.size[0], geometry.size[1]];
            let (found, d_weight) = with_sources(inputs, |inputs| {
                let d_inputs = || match any {
                    true => winograd::backward_input(size, inputs, &wanted.inputs, w, out, g),
                    false => inputs.iter().map(|_| None).collect(),
                };
                rayon::join(d_inputs, || wanted.weight.then(|| winograd::backward_weight(size, inputs, out, g)))
            })?;
            let each = found.into_iter().zip(inputs);
            let found = each.map(|(found, input)| found.map(|found| tensor(found, input.tensor.dims())).transpose());
            (found.collect::<Result<_>>()?, d_weight)
        }
        algorithm => {
            let flat = geometry.flattened();
            let (batch, channels) = (geometry.batch, [geometry.channels_in, geometry.channels_out]);
            let x = wanted.weight.then(|| source::join(inputs)).transpose()?;
            let x = x.as_ref().map(elements::<T>).transpose()?;
            let x: Option<&[T]> = x.as_deref();
            let d_input = || match algorithm {
                Algorithm::Winograd2x2 => two_by_two::backward_input(batch, channels, w, g),
                Algorithm::Tapwise => tapwise::backward_input(geometry, w, g),
                Algorithm::Winograd | Algorithm::Unfolded => unfolded::backward_input(&flat, w, g),
            };
            let d_weight = |x: &[T]| match algorithm {
                Algorithm::Winograd2x2 => two_by_two::backward_weight(batch, channels, x, g),
                Algorithm::Tapwise => tapwise::backward_weight(geometry, x, g),
                Algorithm::Winograd | Algorithm::Unfolded => unfolded::backward_weight(&flat, x, g),
            };
            let (d_input, d_weight) = rayon::join(|| any.then(d_input), || x.map(d_weight));
            let found = match d_input {
                Some(d_input) => source::part(inputs, &wanted.inputs, &tensor(d_input, &source::shape(inputs)?)?)?,
                None => inputs.iter().map(|_| None).collect(),
            };
            (found, d_weight)
        }
    };
    let weight = d_weight.map(|found| tensor(found, weight.dims())).transpose()?;
    Ok(Conv2dGradients { inputs: found, weight, bias })
}
