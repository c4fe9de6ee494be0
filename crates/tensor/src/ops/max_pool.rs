//! Max pooling, as PyTorch's `MaxPool2d`: the first of equal maxima gets the gradient, NaN wins.

use super::gpu::{Gpu, launch, on_device};
use super::host::{Element, elements, tensor};
use super::vector::vectorized;
use crate::graph::Operation;
use crate::{Tape, Value};
use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

/// Window, stride and padding, alike in both directions; padded places never win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the window, at most 16.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels on each side, at most half the window.
    pub padding: usize,
    /// Lets a last window hang over the right or bottom edge, as long as it starts inside.
    pub ceil_mode: bool,
}

impl MaxPool {
    fn check(&self) -> Result<()> {
        if self.kernel == 0 || self.kernel > 16 || self.stride == 0 || 2 * self.padding > self.kernel {
            bail!("max_pool: cannot pool with {self:?}");
        }
        Ok(())
    }

    fn output_size(&self, size: usize) -> Result<usize> {
        let Some(room) = (size + 2 * self.padding).checked_sub(self.kernel) else {
            bail!("max_pool: {size} pixels are too few for {self:?}");
        };
        let windows = if self.ceil_mode { room.div_ceil(self.stride) } else { room / self.stride } + 1;
        let last_is_outside = self.ceil_mode && (windows - 1) * self.stride >= size + self.padding;
        Ok(if last_is_outside { windows - 1 } else { windows })
    }
}

/// Where in its window each maximum lies (`row * kernel + column`), u8 and shaped as the output.
#[derive(Debug)]
pub(crate) struct Winners(Tensor);

/// The largest of every window of `x` `[batch, height, width, channels]`, and where it was found.
///
/// # Errors
/// If the window does not fit, or the device or type is not supported.
pub(crate) fn forward(x: &Tensor, options: MaxPool) -> Result<(Tensor, Winners)> {
    options.check()?;
    let x = x.contiguous()?;
    on_device!("max_pool", &x, forward_gpu(&x, options), forward_host(&x, options))
}

fn forward_gpu(gpu: &dyn Gpu, x: &Tensor, options: MaxPool) -> Result<(Tensor, Winners)> {
    let ((batch, height, width, channels), dtype) = (x.dims4()?, x.dtype());
    let (out_h, out_w) = (options.output_size(height)?, options.output_size(width)?);
    let shape = [batch, out_h, out_w, channels];
    let MaxPool { kernel, stride, padding, .. } = options;
    let (y, taps) = (gpu.empty(&shape, dtype)?, gpu.empty(&shape, DType::U8)?);
    let elements = y.elem_count();
    launch!(
        gpu,
        "max_pool",
        dtype,
        elements,
        [x, &y, &taps, elements, height, width, channels, out_h, out_w, kernel, stride, padding]
    )?;
    Ok((y, Winners(taps)))
}

fn forward_host<T: Element>(x: &Tensor, options: MaxPool) -> Result<(Tensor, Winners)> {
    let (batch, height, width, channels) = x.dims4()?;
    let (out_h, out_w) = (options.output_size(height)?, options.output_size(width)?);
    let shape = [batch, out_h, out_w, channels];
    let MaxPool { kernel, stride, padding, .. } = options;
    let x = elements::<T>(x)?;
    let x: &[T] = &x;
    let mut y = vec![T::zero(); shape.iter().product()];
    let mut taps = vec![0u8; y.len()];
    let row = out_w * channels;
    y.par_chunks_mut(row).zip(taps.par_chunks_mut(row)).enumerate().for_each(|(index, (y, taps))| {
        vectorized(
            #[inline(always)]
            || {
                let (image, out_y) = (index / out_h, index % out_h);
                let pixels = y.chunks_exact_mut(channels).zip(taps.chunks_exact_mut(channels));
                for (out_x, (y, taps)) in pixels.enumerate() {
                    let mut first = true;
                    for ky in 0..kernel {
                        let in_y = (out_y * stride + ky).wrapping_sub(padding);
                        for kx in 0..kernel {
                            let in_x = (out_x * stride + kx).wrapping_sub(padding);
                            if in_y >= height || in_x >= width {
                                continue;
                            }
                            let x = &x[((image * height + in_y) * width + in_x) * channels..][..channels];
                            let tap = (ky * kernel + kx) as u8;
                            for ((y, taps), x) in y.iter_mut().zip(taps.iter_mut()).zip(x) {
                                if first || *x > *y || x.is_nan() {
                                    (*y, *taps) = (*x, tap);
                                }
                            }
                            first = false;
                        }
                    }
                }
            },
        )
    });
    Ok((tensor(y, &shape)?, Winners(tensor(taps, &shape)?)))
}

/// Gradient of [`forward`] with respect to its input of `shape`, given the output's `gradient`.
///
/// # Errors
/// If `gradient` does not have the output's shape.
pub(crate) fn backward(shape: &[usize], winners: &Winners, gradient: &Tensor, options: MaxPool) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    if shape.len() != 4 || gradient.dims() != winners.0.dims() {
        bail!("max_pool: a gradient of {:?} for an input of {shape:?}", gradient.dims());
    }
    on_device!(
        "max_pool",
        &gradient,
        backward_gpu(shape, winners, &gradient, options),
        backward_host(shape, winners, &gradient, options)
    )
}

fn backward_gpu(
    gpu: &dyn Gpu,
    shape: &[usize],
    Winners(taps): &Winners,
    gradient: &Tensor,
    MaxPool { kernel, stride, padding, .. }: MaxPool,
) -> Result<Tensor> {
    let ((_, out_h, out_w, channels), dtype) = (gradient.dims4()?, gradient.dtype());
    let dx = gpu.empty(shape, dtype)?;
    let (elements, height, width) = (dx.elem_count(), shape[1], shape[2]);
    launch!(
        gpu,
        "max_pool_backward",
        dtype,
        elements,
        [gradient, taps, &dx, elements, height, width, channels, out_h, out_w, kernel, stride, padding]
    )?;
    Ok(dx)
}

fn backward_host<T: Element>(
    shape: &[usize],
    winners: &Winners,
    gradient: &Tensor,
    options: MaxPool,
) -> Result<Tensor> {
    let (_, out_h, out_w, channels) = gradient.dims4()?;
    let (height, width) = (shape[1], shape[2]);
    let taps = elements::<u8>(&winners.0)?;
    let taps: &[u8] = &taps;
    let MaxPool { kernel, stride, padding, .. } = options;
    let gradient = elements::<T>(gradient)?;
    let gradient: &[T] = &gradient;
    let mut dx = vec![T::zero(); shape.iter().product()];
    // Each row of the input gathers from the windows that reach it, so rows do not meet.
    dx.par_chunks_mut(width * channels).enumerate().for_each(|(index, dx)| {
        vectorized(
            #[inline(always)]
            || {
                let (image, y) = (index / height, index % height);
                let first = (y + padding + 1).saturating_sub(kernel).div_ceil(stride);
                for out_y in first..out_h.min((y + padding) / stride + 1) {
                    let ky = y + padding - out_y * stride;
                    for out_x in 0..out_w {
                        let window = ((image * out_h + out_y) * out_w + out_x) * channels;
                        let (g, taps) = (&gradient[window..][..channels], &taps[window..][..channels]);
                        for kx in 0..kernel {
                            let x = (out_x * stride + kx).wrapping_sub(padding);
                            if x >= width {
                                continue;
                            }
                            let tap = (ky * kernel + kx) as u8;
                            for ((dx, g), winner) in dx[x * channels..][..channels].iter_mut().zip(g).zip(taps) {
                                *dx += if *winner == tap { *g } else { T::zero() };
                            }
                        }
                    }
                }
            },
        )
    });
    tensor(dx, shape)
}

impl Tape<'_> {
    /// Max pooling of `x` `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// If the window does not fit, or the device or type is not supported.
    pub fn max_pool(&self, x: &Value, options: MaxPool) -> Result<Value> {
        let (batch, height, width, channels) = x.tensor().dims4()?;
        let pooled = [batch, options.output_size(height)?, options.output_size(width)?, channels];
        let mut winners = None;
        let describe = || {
            let MaxPool { kernel, stride, padding, ceil_mode } = options;
            Ok((Operation::MaxPool { kernel, stride, padding, ceil_mode }, vec![x.tensor().id()]))
        };
        let output = self.output(&pooled, describe, || {
            let (output, found) = forward(x.tensor(), options)?;
            winners = Some(found);
            Ok(output)
        })?;
        self.keep_bytes(output.elem_count());
        let shape = [batch, height, width, channels];
        Ok(self.record(output, &[x], move |gradient, _| {
            let Some(winners) = winners else { bail!("max_pool: a dry tape has no backward pass") };
            Ok(vec![Some(backward(&shape, &winners, gradient, options)?)])
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, height, width, channels) in (1usize..3, 3usize..9, 3usize..9, 1usize..4),
            (kernel, stride, padding) in (1usize..4, 1usize..4, 0usize..2),
            (ceil_mode, seed) in (any::<bool>(), any::<u64>()),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.distinct("x", &[batch, height, width, channels]);
            let options = MaxPool { kernel, stride, padding: padding.min(kernel / 2), ceil_mode };
            check_gradients(&inputs, |tape| tape.max_pool(&tape.parameter("x")?, options));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[2, 33, 35, 16]);
        let options = MaxPool { kernel: 3, stride: 2, padding: 1, ceil_mode: false };
        same_bits_for_any_threads(&inputs, |tape| tape.max_pool(&tape.parameter("x")?, options));
    }

    #[test]
    fn the_first_of_equal_maxima_gets_the_whole_gradient() -> Result<()> {
        let x = Tensor::ones((1, 2, 2, 1), DType::F32, &Device::Cpu)?;
        let options = MaxPool { kernel: 2, stride: 2, padding: 0, ceil_mode: false };
        let (y, winners) = forward(&x, options)?;
        let dx = backward(x.dims(), &winners, &y, options)?;
        assert_eq!(dx.flatten_all()?.to_vec1::<f32>()?, [1.0, 0.0, 0.0, 0.0]);
        Ok(())
    }

    /// Sizes that PyTorch 2.11 gives.
    #[test]
    fn output_sizes_are_pytorchs() -> Result<()> {
        let size =
            |kernel, stride, padding, ceil_mode, size| MaxPool { kernel, stride, padding, ceil_mode }.output_size(size);
        assert_eq!((size(3, 2, 1, false, 112)?, size(3, 2, 0, true, 112)?), (56, 56));
        assert_eq!((size(3, 2, 0, true, 7)?, size(2, 3, 1, true, 6)?, size(2, 2, 1, true, 5)?), (3, 3, 3));
        assert!(size(3, 2, 0, true, 2).is_err());
        Ok(())
    }
}
