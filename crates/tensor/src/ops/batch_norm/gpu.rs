//! Batch norm on a GPU; shapes are checked by the caller.

use super::constants::{EPSILON, MOMENTUM};
use super::gradients::BatchNormGradients;
use super::statistics::Moments;
use crate::ops::gpu::{Gpu, launch, strip_sums, wide_type, width};
use candle_core::{Result, Tensor};

/// The running statistics `[channels]` and the count of batches (an i64 scalar), moved in place.
pub(super) struct Running<'t> {
    pub(super) mean: &'t Tensor,
    pub(super) variance: &'t Tensor,
    pub(super) tracked: &'t Tensor,
}

/// Rows and channels of `x` `[.., channels]`.
fn rows(x: &Tensor, channels: usize) -> usize {
    x.elem_count() / channels
}

/// Moments of `x`; moves `running` with them.
pub(super) fn moments(gpu: &dyn Gpu, x: &Tensor, channels: usize, running: Option<Running<'_>>) -> Result<Moments> {
    let (dtype, rows) = (x.dtype(), rows(x, channels));
    let (folded, folds) = strip_sums(gpu, dtype, [rows, channels, 2 * channels], |sums, strips, threads, wide| {
        launch!(gpu, "moment_strips", dtype, threads, [x, rows, channels, strips, wide, sums])
    })?;
    let empty = || gpu.empty(&[channels], wide_type(dtype));
    let moments = Moments { mean: empty()?, variance: empty()? };
    let (mean, variance, tracked) = match &running {
        Some(running) => (Some(running.mean), Some(running.variance), Some(running.tracked)),
        None => (None, None, None),
    };
    launch!(
        gpu,
        "moments",
        dtype,
        channels,
        [&folded, folds, x, rows, channels, &moments.mean, &moments.variance, mean, variance, tracked, MOMENTUM]
    )?;
    Ok(moments)
}

/// What forward and backward read of each channel.
pub(super) struct Channels<'t> {
    pub(super) moments: &'t Moments,
    pub(super) weight: &'t Tensor,
    pub(super) bias: &'t Tensor,
}

/// Mean, factor and summand of each channel, `[3, channels]`.
fn factors(gpu: &dyn Gpu, Channels { moments, weight, bias }: &Channels<'_>) -> Result<Tensor> {
    let (channels, dtype) = (weight.elem_count(), weight.dtype());
    let factors = gpu.empty(&[3, channels], dtype)?;
    let (mean, variance, weight, bias): (_, _, &Tensor, &Tensor) = (&moments.mean, &moments.variance, weight, bias);
    launch!(gpu, "norm_factors", dtype, channels, [mean, variance, weight, bias, &factors, channels, EPSILON])?;
    Ok(factors)
}

pub(super) fn forward(
    gpu: &dyn Gpu,
    x: &Tensor,
    at: &Channels<'_>,
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    let (dtype, channels, elements) = (x.dtype(), at.weight.elem_count(), x.elem_count());
    let (factors, y, at_once) = (factors(gpu, at)?, gpu.empty(x.dims(), dtype)?, width(dtype, &[channels]));
    let (threads, wide) = (elements / at_once, at_once > 1);
    launch!(gpu, "norm", dtype, threads, [x, &factors, residual, &y, elements, channels, relu, wide])?;
    Ok(y)
}

pub(super) fn backward(
    gpu: &dyn Gpu,
    x: &Tensor,
    at: &Channels<'_>,
    residual: Option<&Tensor>,
    relu: bool,
    gradient: &Tensor,
    batch: bool,
) -> Result<BatchNormGradients> {
    let (dtype, channels, elements) = (x.dtype(), at.weight.elem_count(), x.elem_count());
    let (rows, factors) = (rows(x, channels), factors(gpu, at)?);
    let (folded, folds) = strip_sums(gpu, dtype, [rows, channels, 2 * channels], |sums, strips, threads, wide| {
        launch!(
            gpu,
            "norm_strips",
            dtype,
            threads,
            [x, &factors, residual, gradient, rows, channels, strips, relu, wide, sums]
        )
    })?;
    // Of bias and weight.
    let (sums, slopes) = (gpu.empty(&[2, channels], wide_type(dtype))?, gpu.empty(&[2, channels], wide_type(dtype))?);
    let (variance, weight) = (&at.moments.variance, at.weight);
    launch!(
        gpu,
        "norm_slopes",
        dtype,
        channels,
        [&folded, folds, variance, weight, &sums, &slopes, rows, channels, batch, EPSILON]
    )?;
    let dx = gpu.empty(x.dims(), dtype)?;
    // Without a ReLU the residual's gradient is the output's.
    let masked = (relu && residual.is_some()).then(|| gpu.empty(x.dims(), dtype)).transpose()?;
    let at_once = width(dtype, &[channels]);
    let (d_residual, threads, wide) = (masked.as_ref(), elements / at_once, at_once > 1);
    launch!(
        gpu,
        "norm_backward",
        dtype,
        threads,
        [x, &factors, &slopes, residual, gradient, &dx, d_residual, elements, channels, relu, wide]
    )?;
    Ok(BatchNormGradients {
        x: dx,
        weight: sums.get(1)?,
        bias: sums.get(0)?,
        residual: masked.unwrap_or_else(|| gradient.clone()),
    })
}
