//! Batch norm on a GPU; shapes are checked by the caller.

use super::{BatchNormGradients, EPSILON, MOMENTUM, Moments};
use crate::nn::ops::gpu::{Gpu, launch, strip_sums, wide_type, width};
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

pub(super) fn forward(
    gpu: &dyn Gpu,
    x: &Tensor,
    Channels { moments, weight, bias }: &Channels<'_>,
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    let (dtype, channels) = (x.dtype(), weight.elem_count());
    let (rows, y, at_once) = (rows(x, channels), gpu.empty(x.dims(), dtype)?, width(dtype, &[channels]));
    let (mean, variance, wide) = (&moments.mean, &moments.variance, at_once > 1);
    let (weight, bias): (&Tensor, &Tensor) = (weight, bias);
    launch!(
        gpu,
        "norm",
        dtype,
        x.elem_count() / at_once,
        [x, mean, variance, weight, bias, residual, &y, rows, channels, relu, wide, EPSILON]
    )?;
    Ok(y)
}

pub(super) fn backward(
    gpu: &dyn Gpu,
    x: &Tensor,
    Channels { moments, weight, bias }: &Channels<'_>,
    residual: Option<&Tensor>,
    relu: bool,
    gradient: &Tensor,
    batch: bool,
) -> Result<BatchNormGradients> {
    let (dtype, channels) = (x.dtype(), weight.elem_count());
    let (rows, mean, variance) = (rows(x, channels), &moments.mean, &moments.variance);
    let (weight, bias): (&Tensor, &Tensor) = (weight, bias);
    let (folded, folds) = strip_sums(gpu, dtype, [rows, channels, 2 * channels], |sums, strips, threads, wide| {
        launch!(
            gpu,
            "norm_strips",
            dtype,
            threads,
            [x, mean, variance, weight, bias, residual, gradient, rows, channels, strips, relu, wide, EPSILON, sums]
        )
    })?;
    // Of bias and weight.
    let sums = gpu.empty(&[2, channels], wide_type(dtype))?;
    launch!(gpu, "column_sums", dtype, 2 * channels, [&folded, folds, 2 * channels, &sums])?;
    let dx = gpu.empty(x.dims(), dtype)?;
    // Without a ReLU the residual's gradient is the output's.
    let masked = (relu && residual.is_some()).then(|| gpu.empty(x.dims(), dtype)).transpose()?;
    let at_once = width(dtype, &[channels]);
    let (d_residual, wide) = (masked.as_ref(), at_once > 1);
    launch!(
        gpu,
        "norm_backward",
        dtype,
        x.elem_count() / at_once,
        [
            x, mean, variance, weight, bias, residual, gradient, &sums, &dx, d_residual, rows, channels, relu, batch,
            wide, EPSILON
        ]
    )?;
    Ok(BatchNormGradients {
        x: dx,
        weight: sums.get(1)?,
        bias: sums.get(0)?,
        residual: masked.unwrap_or_else(|| gradient.clone()),
    })
}
