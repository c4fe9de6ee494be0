//! The output of a batch norm.

use super::shapes::check;
use super::statistics::Moments;
use super::{cpu, gpu};
use crate::ops::gpu::of;
use crate::ops::host::{Element, elements, on_host, tensor};
use candle_core::{Result, Tensor};

/// weight · (x − mean) / √(variance + ε) + bias for `x` `[.., channels]`, plus `residual` of x's shape, through a ReLU
/// if `relu`. Moments of the batch make it the training form, running statistics the evaluation form.
///
/// # Errors
/// If the shapes do not fit one another, or the device or type is not supported.
pub(crate) fn forward(
    x: &Tensor,
    moments: &Moments,
    (weight, bias): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    let x = x.contiguous()?;
    let residual = residual.map(Tensor::contiguous).transpose()?;
    let residual = residual.as_ref();
    check(&x, moments, (weight, bias), residual)?;
    match of("batch_norm", &x)? {
        Some(gpu) => gpu::forward(&*gpu, &x, &gpu::Channels { moments, weight, bias }, residual, relu),
        None => on_host!("batch_norm", &x, forward_cpu(&x, moments, (weight, bias), residual, relu)),
    }
}

fn forward_cpu<T: Element>(
    x: &Tensor,
    moments: &Moments,
    (weight, bias): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    let (mean, variance) = (elements::<T>(&moments.mean)?, elements(&moments.variance)?);
    let (weight, bias) = (elements(weight)?, elements(bias)?);
    let at = cpu::Channels { mean: &mean, variance: &variance, weight: &weight, bias: &bias };
    let residual = residual.map(elements::<T>).transpose()?;
    tensor(cpu::forward(&at, &elements(x)?, residual.as_deref(), relu), x.dims())
}
