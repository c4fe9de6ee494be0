//! Sum of two tensors: how gradients meet where a value has several consumers.

use super::gpu::{Gpu, launch, on_device, width};
use super::host::{Element, elements, filled, tensor};
use super::vector::vectorized;
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Elements a task adds.
const CHUNK: usize = 1 << 15;

/// `a + b`, of one shape.
///
/// # Errors
/// If shapes or types differ.
pub(crate) fn forward(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() || a.dtype() != b.dtype() {
        bail!("sum of {:?} and {:?}", a.shape(), b.shape());
    }
    let (a, b) = (a.contiguous()?, b.contiguous()?);
    on_device!("sum", &a, forward_gpu(&a, &b), forward_host(&a, &b))
}

fn forward_gpu(gpu: &dyn Gpu, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (dtype, elements, sum) = (a.dtype(), a.elem_count(), gpu.empty(a.dims(), a.dtype())?);
    // A view may begin anywhere.
    let aligned = gpu.address(a)?.is_multiple_of(16) && gpu.address(b)?.is_multiple_of(16);
    let at_once = if aligned { width(dtype, &[elements]) } else { 1 };
    launch!(gpu, "add", dtype, elements / at_once, [a, b, &sum, elements, at_once > 1])?;
    Ok(sum)
}

fn forward_host<T: Element>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (shape, a, b) = (a.dims(), elements::<T>(a)?, elements::<T>(b)?);
    let sum = filled(a.len(), |sum| {
        sum.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK)).for_each(|((sum, a), b)| {
            vectorized(
                #[inline(always)]
                || {
                    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
                        *sum = *a + *b;
                    }
                },
            );
        });
    });
    tensor(sum, shape)
}
