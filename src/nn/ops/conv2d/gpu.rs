//! Convolution on a GPU: cuDNN's for float32 and bfloat16, kernels of our own for float64, which serves for checks.
//!
//! Weights stay as parameters lie, `[kernel height, kernel width, in, out]` in float32 (or float64); cuDNN takes
//! `[out, kernel height, kernel width, in]` in the type of the activations, written anew each time.

use super::geometry::Geometry;
use super::source::{self, Joined};
use super::{After, Conv2dGradients, Wanted};
use crate::nn::ops::gpu::{self, Convolution, Direction, Gpu, Sizes, column_sums, launch, wide_type};
use candle_core::{DType, Result, Tensor, bail};

/// All `inputs` as one tensor.
fn join(gpu: &dyn Gpu, inputs: &[Joined]) -> Result<Tensor> {
    match inputs {
        [one] if !one.doubled => Ok(one.tensor.clone()),
        _ => {
            let parts: Vec<_> = inputs.iter().map(|input| (&input.tensor, if input.doubled { 2 } else { 1 })).collect();
            gpu::join(gpu, &parts)
        }
    }
}

fn sizes(geometry: &Geometry) -> Sizes {
    let Geometry { batch, size, channels_in, channels_out, kernel, padding, stride, dilation, out } = *geometry;
    Sizes {
        input: [batch, size[0], size[1], channels_in],
        filter: [channels_out, kernel[0], kernel[1], channels_in],
        output: [batch, out[0], out[1], channels_out],
        padding,
        stride,
        dilation,
    }
}

/// The weight as cuDNN takes it.
fn filter(gpu: &dyn Gpu, weight: &Tensor, sizes: &Sizes, dtype: DType) -> Result<Tensor> {
    let [out, height, width, channels] = sizes.filter;
    let filter = gpu.empty(&sizes.filter, dtype)?;
    launch!(gpu, "to_filter", dtype, filter.elem_count(), [weight, &filter, height * width, channels, out])?;
    Ok(filter)
}

/// A convolution by our own kernels: `kernel` computes `target` from `a` and `b`.
fn direct(
    gpu: &dyn Gpu,
    kernel: &str,
    [a, b, target]: [&Tensor; 3],
    Geometry { batch, size, channels_in, channels_out, kernel: taps, padding, stride, dilation, out }: &Geometry,
) -> Result<()> {
    let sizes = [*batch, size[0], size[1], *channels_in, out[0], out[1], *channels_out, taps[0], taps[1], *stride];
    let arguments: Vec<gpu::Argument<'_>> = [a, b, target]
        .into_iter()
        .map(gpu::Argument::from)
        .chain(sizes.into_iter().chain([padding[0], *dilation]).map(gpu::Argument::from))
        .collect();
    gpu.launch(kernel, target.dtype(), target.elem_count(), &arguments)
}

fn check_types(x: &Tensor, weight: &Tensor) -> Result<()> {
    if weight.dtype() != wide_type(x.dtype()) {
        bail!("conv2d: a weight of {:?} beside activations of {:?}", weight.dtype(), x.dtype());
    }
    Ok(())
}

/// As [`super::forward`], of contiguous tensors whose shapes are checked.
pub(super) fn forward(
    gpu: &dyn Gpu,
    inputs: &[Joined],
    weight: &Tensor,
    after: After<'_>,
    geometry: &Geometry,
) -> Result<Tensor> {
    let x = join(gpu, inputs)?;
    check_types(&x, weight)?;
    let (dtype, shape) = (x.dtype(), geometry.shape());
    let y = gpu.empty(&shape, dtype)?;
    if dtype == DType::F64 {
        direct(gpu, "direct_forward", [&x, weight, &y], geometry)?;
    } else {
        let sizes = sizes(geometry);
        let filter = filter(gpu, weight, &sizes, dtype)?;
        gpu.convolve(Convolution { direction: Direction::Forward, sizes, input: &x, filter: &filter, output: &y })?;
    }
    if after.bias.is_some() || after.residual.is_some() || after.relu {
        let (bias, residual, elements) = (after.bias, after.residual, y.elem_count());
        launch!(gpu, "epilogue", dtype, elements, [&y, bias, residual, elements, shape[3], after.relu])?;
    }
    Ok(y)
}

/// As [`super::backward`], of contiguous tensors whose shapes are checked.
pub(super) fn backward(
    gpu: &dyn Gpu,
    inputs: &[Joined],
    weight: &Tensor,
    gradient: &Tensor,
    geometry: &Geometry,
    wanted: &Wanted,
) -> Result<Conv2dGradients> {
    let dtype = gradient.dtype();
    check_types(gradient, weight)?;
    let sizes = sizes(geometry);
    let d_input = if wanted.inputs.contains(&true) {
        let d_input = gpu.empty(&sizes.input, dtype)?;
        if dtype == DType::F64 {
            direct(gpu, "direct_data", [gradient, weight, &d_input], geometry)?;
        } else {
            let filter = filter(gpu, weight, &sizes, dtype)?;
            let (input, output) = (&d_input, gradient);
            gpu.convolve(Convolution { direction: Direction::Data, sizes, input, filter: &filter, output })?;
        }
        Some(d_input)
    } else {
        None
    };
    let mut first = 0;
    let mut parts = Vec::with_capacity(inputs.len());
    for (input, &wanted) in inputs.iter().zip(&wanted.inputs) {
        let channels = source::shape(std::slice::from_ref(input))?[3];
        parts.push(match &d_input {
            Some(whole) if wanted && inputs.len() == 1 && !input.doubled => Some(whole.clone()),
            Some(whole) if wanted => Some(gpu::part(gpu, whole, first, channels, if input.doubled { 2 } else { 1 })?),
            _ => None,
        });
        first += channels;
    }
    let weight = if wanted.weight {
        let x = join(gpu, inputs)?;
        let d_weight = gpu.empty(weight.dims(), weight.dtype())?;
        if dtype == DType::F64 {
            direct(gpu, "direct_weight", [&x, gradient, &d_weight], geometry)?;
        } else {
            let filter = gpu.empty(&sizes.filter, dtype)?;
            let (input, output) = (&x, gradient);
            gpu.convolve(Convolution { direction: Direction::Filter, sizes, input, filter: &filter, output })?;
            let [out, height, width, channels] = sizes.filter;
            let elements = filter.elem_count();
            launch!(gpu, "from_filter", dtype, elements, [&filter, &d_weight, height * width, channels, out])?;
        }
        Some(d_weight)
    } else {
        None
    };
    let bias = wanted.bias.then(|| column_sums(gpu, gradient, geometry.channels_out)).transpose()?;
    Ok(Conv2dGradients { inputs: parts, weight, bias })
}
