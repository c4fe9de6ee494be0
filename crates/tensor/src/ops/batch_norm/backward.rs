//! The gradients of a batch norm.

use super::gradients::BatchNormGradients;
use super::shapes::{channels, check};
use super::statistics::Moments;
use super::{cpu, gpu};
use crate::ops::gpu::of;
use crate::ops::host::{Element, elements, on_host, tensor};
use candle_core::{Result, Tensor, bail};

/// Gradients of `forward`, given the output's `gradient`; the ReLU's derivative at 0 is 0. With `batch` the moments
/// are those of `x` and move with it, else they are constants. What the ReLU cut off is computed again from `x`.
///
/// # Errors
/// As `forward`.
pub(crate) fn backward(
    x: &Tensor,
    (moments, batch): (&Moments, bool),
    vectors: (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
    gradient: &Tensor,
) -> Result<BatchNormGradients> {
    let (x, gradient) = (x.contiguous()?, gradient.contiguous()?);
    let residual = residual.map(Tensor::contiguous).transpose()?;
    let residual = residual.as_ref();
    check(&x, moments, vectors, residual)?;
    if gradient.dims() != x.dims() || gradient.dtype() != x.dtype() {
        bail!("batch_norm: a gradient of {:?} for an input of {:?}", gradient.dims(), x.dims());
    }
    match of("batch_norm", &x)? {
        Some(gpu) => {
            let channels = gpu::Channels { moments, weight: vectors.0, bias: vectors.1 };
            gpu::backward(&*gpu, &x, &channels, residual, relu, &gradient, batch)
        }
        None => {
            on_host!("batch_norm", &x, backward_cpu(&x, (moments, batch), vectors, residual, relu, &gradient))
        }
    }
}

fn backward_cpu<T: Element>(
    x: &Tensor,
    (moments, batch): (&Moments, bool),
    (weight, bias): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
    relu: bool,
    gradient: &Tensor,
) -> Result<BatchNormGradients> {
    let channels = channels(x)?;
    let (mean, variance) = (elements::<T>(&moments.mean)?, elements(&moments.variance)?);
    let (weight, bias) = (elements(weight)?, elements(bias)?);
    let at = cpu::Channels { mean: &mean, variance: &variance, weight: &weight, bias: &bias };
    let residual = residual.map(elements::<T>).transpose()?;
    let found = cpu::backward(&at, &elements(x)?, residual.as_deref(), relu, &elements(gradient)?, batch);
    Ok(BatchNormGradients {
        x: tensor(found.x, x.dims())?,
        weight: tensor(found.weight, &[channels])?,
        bias: tensor(found.bias, &[channels])?,
        residual: match found.residual {
            Some(residual) => tensor(residual, x.dims())?,
            None => gradient.clone(),
        },
    })
}
