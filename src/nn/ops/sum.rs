//! Sum of two tensors: how gradients meet where a value has several consumers.

use super::host::{Element, elements, filled, on_host, tensor};
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
    on_host!("sum", a, forward_host(&a.contiguous()?, &b.contiguous()?))
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
