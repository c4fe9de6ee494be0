//! Global average pooling: one vector of channel means for each image.

use super::host::{Element, elements, filled, on_host, tensor};
use super::vector::vectorized;
use crate::nn::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// `[batch, channels]` from `x` `[batch, height, width, channels]`, summed in double precision.
///
/// # Errors
/// If an image is empty, or the device or type has no such operation.
pub fn forward(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    on_host!("global_average_pool", &x, forward_host(&x))
}

fn forward_host<T: Element>(x: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    if height * width * channels == 0 {
        bail!("global_average_pool: an empty image, {:?}", x.dims());
    }
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

/// Gradient of [`forward`] with respect to its input of `shape`, given the output's `gradient`.
///
/// # Errors
/// If `gradient` is not `[batch, channels]`.
pub fn backward(shape: &[usize], gradient: &Tensor) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    on_host!("global_average_pool", &gradient, backward_host(shape, &gradient))
}

fn backward_host<T: Element>(shape: &[usize], gradient: &Tensor) -> Result<Tensor> {
    let channels = match (shape, gradient.dims()) {
        (&[batch, _, _, channels], &[b, c]) if b == batch && c == channels => channels,
        (_, found) => bail!("global_average_pool: a gradient of {found:?} for an input of {shape:?}"),
    };
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
    /// As [`forward`].
    pub fn global_average_pool(&self, x: &Value) -> Result<Value> {
        let (batch, _, _, channels) = x.tensor().dims4()?;
        let output = self.output(&[batch, channels], || forward(x.tensor()))?;
        let shape = x.tensor().dims().to_vec();
        Ok(self.record(output, &[x], move |gradient, _| Ok(vec![Some(backward(&shape, gradient)?)])))
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::testing::{Inputs, check_gradients, same_bits_for_any_threads};
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
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[5, 33, 35, 16]);
        same_bits_for_any_threads(&inputs, |tape| tape.global_average_pool(&tape.parameter("x")?));
    }
}
