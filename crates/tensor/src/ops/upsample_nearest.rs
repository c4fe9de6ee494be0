//! Nearest-neighbour upsampling by two: every pixel becomes a square of four.

use super::gpu::{self, Gpu, on_device};
use super::host::{Element, elements, filled, tensor};
use crate::graph::Operation;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// `[batch, 2 height, 2 width, channels]` from `x` `[batch, height, width, channels]`.
///
/// # Errors
/// If the device or type is not supported.
pub(crate) fn forward(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    on_device!("upsample_nearest", &x, forward_gpu(&x), forward_host(&x))
}

fn forward_gpu(gpu: &dyn Gpu, x: &Tensor) -> Result<Tensor> {
    gpu::join(gpu, &[(x, 2)])
}

fn forward_host<T: Element>(x: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    let row = width * channels;
    let x = elements::<T>(x)?;
    let y = filled(4 * x.len(), |y| {
        y.par_chunks_mut(4 * row).zip(x.par_chunks(row)).for_each(|(y, x)| {
            let (upper, lower) = y.split_at_mut(2 * row);
            for (pair, pixel) in upper.chunks_exact_mut(2 * channels).zip(x.chunks_exact(channels)) {
                pair[..channels].copy_from_slice(pixel);
                pair[channels..].copy_from_slice(pixel);
            }
            lower.copy_from_slice(upper);
        });
    });
    tensor(y, &[batch, 2 * height, 2 * width, channels])
}

/// Gradient of [`forward`]: the sum over each square of four.
///
/// # Errors
/// If height or width of `gradient` is odd.
pub(crate) fn backward(gradient: &Tensor) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    on_device!("upsample_nearest", &gradient, backward_gpu(&gradient), backward_host(&gradient))
}

fn backward_gpu(gpu: &dyn Gpu, gradient: &Tensor) -> Result<Tensor> {
    gpu::part(gpu, gradient, 0, gradient.dims4()?.3, 2)
}

fn backward_host<T: Element>(gradient: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = gradient.dims4()?;
    if height % 2 != 0 || width % 2 != 0 {
        bail!("upsample_nearest: a gradient of odd size, {:?}", gradient.dims());
    }
    let row = width / 2 * channels;
    let gradient = elements::<T>(gradient)?;
    let mut dx = vec![T::zero(); gradient.len() / 4];
    dx.par_chunks_mut(row).zip(gradient.par_chunks(4 * row)).for_each(|(dx, gradient)| {
        let (upper, lower) = gradient.split_at(2 * row);
        let squares = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
        for (dx, (upper, lower)) in dx.chunks_exact_mut(channels).zip(squares) {
            let ((a, b), (c, d)) = (upper.split_at(channels), lower.split_at(channels));
            for (i, dx) in dx.iter_mut().enumerate() {
                *dx = (a[i] + b[i]) + (c[i] + d[i]);
            }
        }
    });
    tensor(dx, &[batch, height / 2, width / 2, channels])
}

impl Tape<'_> {
    /// Doubles height and width of `x` `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// If the device or type is not supported.
    pub fn upsample_nearest(&self, x: &Value) -> Result<Value> {
        let (batch, height, width, channels) = x.tensor().dims4()?;
        let describe = || Ok((Operation::UpsampleNearest, vec![x.tensor().id()]));
        let output = self.output(&[batch, 2 * height, 2 * width, channels], describe, || forward(x.tensor()))?;
        Ok(self.record(output, &[x], |gradient, _| Ok(vec![Some(backward(gradient)?)])))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, height, width, channels, seed) in (1usize..3, 1usize..5, 1usize..5, 1usize..4, any::<u64>()),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[batch, height, width, channels]);
            // A second consumer: the two gradients must add.
            check_gradients(&inputs, |tape| {
                let x = tape.parameter("x")?;
                tape.concat(&[&tape.upsample_nearest(&x)?, &tape.upsample_nearest(&x)?])
            });
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[2, 33, 35, 16]);
        same_bits_for_any_threads(&inputs, |tape| tape.upsample_nearest(&tape.parameter("x")?));
    }
}
