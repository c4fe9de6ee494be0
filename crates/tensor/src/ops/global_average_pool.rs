//! Global average pooling: one vector of channel means for each image.

use super::gpu::{Gpu, launch, on_device, wide_type};
use super::host::{Element, elements, filled, tensor};
use super::vector::vectorized;
use crate::graph::Operation;
use crate::{Tape, Value};
use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

/// `[batch, channels]` from `x` `[batch, height, width, channels]`, summed in double precision; in float32 from
/// bfloat16.
///
/// # Errors
/// If an image is empty, or the device or type is not supported.
pub(crate) fn forward(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    if x.elem_count() == 0 {
        bail!("global_average_pool: an empty image, {:?}", x.dims());
    }
    on_device!("global_average_pool", &x, forward_gpu(&x), forward_host(&x))
}

fn forward_gpu(gpu: &dyn Gpu, x: &Tensor) -> Result<Tensor> {
    let ((batch, height, width, channels), dtype) = (x.dims4()?, x.dtype());
    let means = gpu.empty(&[batch, channels], wide_type(dtype))?;
    launch!(gpu, "pool_mean", dtype, batch * channels, [x, &means, batch, height * width, channels])?;
    Ok(means)
}

fn forward_host<T: Element>(x: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    let x = elements::<T>(x)?;
    let mut means = vec![T::zero(); batch * channels];
    means.par_chunks_mut(channels).zip(x.par_chunks(height * width * channels)).for_each(|(means, image)| {
        let mut sums = vec![0.0; channels];
        vectorized(
            #[inline(always)]
            || {
                for pixel in image.chunks_exact(channels) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += value.widen();
                    }
                }
            },
        );
        for (mean, sum) in means.iter_mut().zip(sums) {
            *mean = T::narrow(sum / (height * width) as f64);
        }
    });
    tensor(means, &[batch, channels])
}

/// Gradient of [`forward`] with respect to its input of `shape` and `dtype`, given the output's `gradient`.
///
/// # Errors
/// If `gradient` is not `[batch, channels]`, or on a CPU not of that type.
pub(crate) fn backward(shape: &[usize], dtype: DType, gradient: &Tensor) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    let channels = match (shape, gradient.dims()) {
        (&[batch, _, _, channels], &[b, c]) if b == batch && c == channels => channels,
        (_, found) => bail!("global_average_pool: a gradient of {found:?} for an input of {shape:?}"),
    };
    on_device!(
        "global_average_pool",
        &gradient,
        backward_gpu(shape, dtype, &gradient),
        backward_host(shape, channels, &gradient)
    )
}

fn backward_gpu(gpu: &dyn Gpu, shape: &[usize], dtype: DType, gradient: &Tensor) -> Result<Tensor> {
    let dx = gpu.empty(shape, dtype)?;
    let (elements, pixels, channels) = (dx.elem_count(), shape[1] * shape[2], shape[3]);
    launch!(gpu, "pool_mean_backward", dtype, elements, [gradient, &dx, elements, pixels, channels])?;
    Ok(dx)
}

fn backward_host<T: Element>(shape: &[usize], channels: usize, gradient: &Tensor) -> Result<Tensor> {
    let pixels = shape[1] * shape[2];
    let scale = T::narrow(1.0 / pixels as f64);
    let gradient = elements::<T>(gradient)?;
    let dx = filled(shape.iter().product(), |dx| {
        dx.par_chunks_mut(pixels * channels).zip(gradient.par_chunks(channels)).for_each(|(dx, gradient)| {
            vectorized(
                #[inline(always)]
                || {
                    for dx in dx.chunks_exact_mut(channels) {
                        for (dx, gradient) in dx.iter_mut().zip(gradient) {
                            *dx = *gradient * scale;
                        }
                    }
                },
            );
        });
    });
    tensor(dx, shape)
}

impl Tape<'_> {
    /// Channel means of each image of `x` `[batch, height, width, channels]`, as `[batch, channels]`.
    ///
    /// # Errors
    /// If an image is empty, or the device or type is not supported.
    pub fn global_average_pool(&self, x: &Value) -> Result<Value> {
        let (batch, _, _, channels) = x.tensor().dims4()?;
        let output = self.output(&[batch, channels], || Err("global_average_pool"), || forward(x.tensor()))?;
        let (shape, dtype) = (x.tensor().dims().to_vec(), x.tensor().dtype());
        Ok(self.record(output, &[x], move |gradient, _| Ok(vec![Some(backward(&shape, dtype, gradient)?)])))
    }

    /// As [`Tape::global_average_pool`], as images of one pixel: `[batch, 1, 1, channels]`.
    ///
    /// # Errors
    /// As [`Tape::global_average_pool`].
    pub fn mean_pixels(&self, x: &Value) -> Result<Value> {
        let (batch, _, _, channels) = x.tensor().dims4()?;
        let (means, vector) = ([batch, 1, 1, channels], [batch, channels]);
        let describe = || Ok((Operation::MeanPixels, vec![x.tensor().id()]));
        let output = self.output(&means, describe, || forward(x.tensor())?.reshape(&means))?;
        let (shape, dtype) = (x.tensor().dims().to_vec(), x.tensor().dtype());
        Ok(self.record(output, &[x], move |gradient, _| {
            Ok(vec![Some(backward(&shape, dtype, &gradient.reshape(&vector)?)?)])
        }))
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
            (batch, height, width, channels, seed) in (1usize..4, 1usize..5, 1usize..5, 1usize..4, any::<u64>()),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[batch, height, width, channels]);
            check_gradients(&inputs, |tape| tape.global_average_pool(&tape.parameter("x")?));
            check_gradients(&inputs, |tape| tape.mean_pixels(&tape.parameter("x")?));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[5, 33, 35, 16]);
        same_bits_for_any_threads(&inputs, |tape| tape.global_average_pool(&tape.parameter("x")?));
    }
}
