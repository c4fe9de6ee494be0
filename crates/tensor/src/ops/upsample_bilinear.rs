//! Bilinear upsampling by two, as PyTorch's `interpolate(scale_factor=2, mode="bilinear")`.
//!
//! Interpolation is separable: rows are blended first, then the columns of the blended row. The backward pass is the
//! transpose, as a gather: each row of dx collects from the rows of the gradient that it was blended into.

use super::gpu::{Gpu, launch, on_device};
use super::host::{Element, elements, tensor};
use super::resample::{Taps, resample, transposed};
use crate::{Tape, Value};
use candle_core::{Device, Result, Tensor, bail};

/// For each of the `2 size` positions after upsampling, the positions before it that are blended.
///
/// With `align_corners` the centres of the first and last pixel stay where they are; without, the outer edges of the
/// image do (PyTorch's `area_pixel_compute_source_index`). Weights are exact fractions, rounded once.
fn sources<T: Element>(size: usize, align_corners: bool) -> Vec<Taps<T>> {
    let source = |output: usize| {
        // The position before upsampling is numerator / denominator.
        let (numerator, denominator) = match align_corners {
            true => (output * (size - 1), 2 * size - 1),
            false => ((2 * output + 1).saturating_sub(2), 4),
        };
        let (first, rest) = (numerator / denominator, numerator % denominator);
        let part = rest as f64 / denominator as f64;
        if rest == 0 || first + 1 >= size {
            return vec![(first, T::one())];
        }
        vec![(first, T::narrow(1.0 - part)), (first + 1, T::narrow(part))]
    };
    (0..2 * size).map(source).collect()
}

/// The transpose of [`sources`].
fn destinations<T: Element>(size: usize, align_corners: bool) -> Vec<Taps<T>> {
    transposed(&sources::<T>(size, align_corners), size)
}

/// `[batch, 2 height, 2 width, channels]` from `x` `[batch, height, width, channels]`. `align_corners` as in PyTorch,
/// whose default is false.
///
/// # Errors
/// If `x` is empty, or the device or type is not supported.
pub(crate) fn forward(x: &Tensor, align_corners: bool) -> Result<Tensor> {
    let x = x.contiguous()?;
    if x.elem_count() == 0 {
        bail!("upsample_bilinear: an empty input, {:?}", x.dims());
    }
    on_device!("upsample_bilinear", &x, forward_gpu(&x, align_corners), forward_host(&x, align_corners))
}

fn forward_gpu(gpu: &dyn Gpu, x: &Tensor, align_corners: bool) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    resample_gpu(gpu, x, &sources(height, align_corners), &sources(width, align_corners))
}

/// As [`resample`], of `x` `[batch, height, width, channels]`.
fn resample_gpu(gpu: &dyn Gpu, x: &Tensor, rows: &[Taps<f64>], columns: &[Taps<f64>]) -> Result<Tensor> {
    let ((batch, height, width, channels), dtype) = (x.dims4()?, x.dtype());
    let y = gpu.empty(&[batch, rows.len(), columns.len(), channels], dtype)?;
    let elements = y.elem_count();
    let ([r, ri], rw) = taps_on_device(gpu, rows)?;
    let ([c, ci], cw) = taps_on_device(gpu, columns)?;
    let (out_h, out_w) = (rows.len(), columns.len());
    launch!(
        gpu,
        "resample",
        dtype,
        elements,
        [x, &y, elements, height, width, channels, out_h, out_w, &r, &ri, &rw, &c, &ci, &cw]
    )?;
    Ok(y)
}

/// Where the taps of each place begin, their indices, and their weights.
fn taps_on_device(gpu: &dyn Gpu, taps: &[Taps<f64>]) -> Result<([Tensor; 2], Tensor)> {
    let mut start = vec![0i64];
    for taps in taps {
        start.push(start[start.len() - 1] + taps.len() as i64);
    }
    let (index, weight): (Vec<i64>, Vec<f64>) = taps.iter().flatten().map(|&(index, w)| (index as i64, w)).unzip();
    let integers = |values: Vec<i64>| gpu.upload(&Tensor::new(values, &Device::Cpu)?);
    Ok(([integers(start)?, integers(index)?], gpu.upload(&Tensor::new(weight, &Device::Cpu)?)?))
}

fn forward_host<T: Element>(x: &Tensor, align_corners: bool) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    let (rows, columns) = (sources(height, align_corners), sources(width, align_corners));
    let y = resample::<T>(&elements(x)?, [width, channels], height, &rows, &columns);
    tensor(y, &[batch, 2 * height, 2 * width, channels])
}

/// Gradient of [`forward`].
///
/// # Errors
/// If `gradient` is empty, or its height or width odd.
pub(crate) fn backward(gradient: &Tensor, align_corners: bool) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    let (_, height, width, _) = gradient.dims4()?;
    if gradient.elem_count() == 0 || height % 2 != 0 || width % 2 != 0 {
        bail!("upsample_bilinear: a gradient of odd or no size, {:?}", gradient.dims());
    }
    on_device!(
        "upsample_bilinear",
        &gradient,
        backward_gpu(&gradient, align_corners),
        backward_host(&gradient, align_corners)
    )
}

fn backward_gpu(gpu: &dyn Gpu, gradient: &Tensor, align_corners: bool) -> Result<Tensor> {
    let (_, height, width, _) = gradient.dims4()?;
    let (rows, columns) = (destinations(height / 2, align_corners), destinations(width / 2, align_corners));
    resample_gpu(gpu, gradient, &rows, &columns)
}

fn backward_host<T: Element>(gradient: &Tensor, align_corners: bool) -> Result<Tensor> {
    let (batch, height, width, channels) = gradient.dims4()?;
    let (rows, columns) = (destinations(height / 2, align_corners), destinations(width / 2, align_corners));
    let dx = resample::<T>(&elements(gradient)?, [width, channels], height, &rows, &columns);
    tensor(dx, &[batch, height / 2, width / 2, channels])
}

impl Tape<'_> {
    /// Doubles height and width of `x` `[batch, height, width, channels]` by bilinear interpolation; `align_corners` as
    /// in PyTorch.
    ///
    /// # Errors
    /// If `x` is empty, or the device or type is not supported.
    pub fn upsample_bilinear(&self, x: &Value, align_corners: bool) -> Result<Value> {
        let (batch, height, width, channels) = x.tensor().dims4()?;
        let doubled = [batch, 2 * height, 2 * width, channels];
        let output = self.output(&doubled, || Err("upsample_bilinear"), || forward(x.tensor(), align_corners))?;
        Ok(self.record(output, &[x], move |gradient, _| Ok(vec![Some(backward(gradient, align_corners)?)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, height, width, channels, seed) in (1usize..3, 1usize..6, 1usize..6, 1usize..4, any::<u64>()),
            align_corners in any::<bool>(),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[batch, height, width, channels]);
            // A second consumer: the two gradients must add.
            check_gradients(&inputs, |tape| {
                let x = tape.parameter("x")?;
                tape.concat(&[&tape.upsample_bilinear(&x, align_corners)?, &tape.upsample_nearest(&x)?])
            });
        }

        #[test]
        fn a_linear_ramp_stays_one_between_its_corners(
            (height, width, a, b) in (2usize..9, 2usize..9, -2.0f64..2.0, -2.0f64..2.0),
        ) {
            let ramp = |y: f64, x: f64| a * y + b * x;
            let pixels = (0..height * width).map(|i| ramp((i / width) as f64, (i % width) as f64)).collect::<Vec<_>>();
            let x = Tensor::from_vec(pixels, (1, height, width, 1), &Device::Cpu).unwrap();
            let y = forward(&x, true).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let place = |i: usize, size: usize| (i * (size - 1)) as f64 / (2 * size - 1) as f64;
            for (i, &value) in y.iter().enumerate() {
                let expected = ramp(place(i / (2 * width), height), place(i % (2 * width), width));
                prop_assert!((value - expected).abs() < 1e-12, "{value} {expected}");
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[2, 33, 35, 16]);
        for align_corners in [false, true] {
            same_bits_for_any_threads(&inputs, |tape| tape.upsample_bilinear(&tape.parameter("x")?, align_corners));
        }
    }

    /// torch 2.11: `interpolate(torch.tensor([[[[0., 4., 8.]]]]), scale_factor=2, mode="bilinear", align_corners=…)`.
    #[test]
    fn a_row_of_three_pixels_is_upsampled_as_by_pytorch() -> Result<()> {
        let x = Tensor::new(&[[[[0f64], [4.0], [8.0]]]], &Device::Cpu)?;
        let rows = |align_corners| forward(&x, align_corners)?.reshape((2, 6))?.to_vec2::<f64>();
        assert_eq!(rows(false)?, [[0.0, 1.0, 3.0, 5.0, 7.0, 8.0]; 2]);
        for (value, expected) in rows(true)?.concat().iter().zip([0.0, 1.6, 3.2, 4.8, 6.4, 8.0].repeat(2)) {
            assert!((value - expected).abs() < 1e-15, "{value} {expected}");
        }
        // Each output counts once: the gradient of the sum is 4 for every pixel.
        let ones = Tensor::ones((1, 2, 6, 1), DType::F64, &Device::Cpu)?;
        assert_eq!(backward(&ones, false)?.flatten_all()?.to_vec1::<f64>()?, [4.0; 3]);
        let error = backward(&ones.narrow(2, 0, 5)?, false).unwrap_err().to_string();
        assert!(error.contains("odd or no size, [1, 2, 5, 1]"), "{error}");
        assert!(forward(&Tensor::zeros((1, 0, 6, 1), DType::F64, &Device::Cpu)?, true).is_err());
        Ok(())
    }
}
