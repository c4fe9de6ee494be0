//! Bilinear resizing to any size, as PyTorch's `interpolate(size=…, mode="bilinear", align_corners=False)`.

use super::host::{Element, elements, on_cpu_only, tensor};
use super::resample::{Taps, resample, transposed};
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use std::ops::Range;

/// For each position of `kept` after resizing from `from` to `to` positions, the positions before it that are blended
/// (PyTorch's `area_pixel_compute_source_index`).
fn sources<T: Element>(from: usize, to: usize, kept: &Range<usize>) -> Vec<Taps<T>> {
    let source = |output: usize| {
        // The position before is numerator / denominator: (output + 1/2) · from / to - 1/2, at least 0.
        let (numerator, denominator) = (((2 * output + 1) * from).saturating_sub(to), 2 * to);
        let (first, rest) = (numerator / denominator, numerator % denominator);
        let part = rest as f64 / denominator as f64;
        if rest == 0 || first + 1 >= from {
            return vec![(first.min(from - 1), T::one())];
        }
        vec![(first, T::narrow(1.0 - part)), (first + 1, T::narrow(part))]
    };
    kept.clone().map(source).collect()
}

/// Height and width after resizing, and the rows and columns of that which are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resized {
    /// `[height, width]`.
    pub size: [usize; 2],
    /// `[rows, columns]`.
    pub kept: [Range<usize>; 2],
}

impl Resized {
    /// All of `[height, width]`.
    pub fn whole(size: [usize; 2]) -> Self {
        Resized { size, kept: size.map(|side| 0..side) }
    }

    fn shape(&self, x: &Tensor) -> Result<[usize; 4]> {
        let (batch, height, width, channels) = x.dims4()?;
        let Resized { size, kept } = self;
        let outside = size.iter().zip(kept).any(|(side, kept)| kept.is_empty() || kept.end > *side);
        if outside || batch * height * width * channels == 0 {
            bail!("resize_bilinear: {kept:?} of {size:?} from an input of {:?}", x.dims());
        }
        Ok([batch, kept[0].len(), kept[1].len(), channels])
    }
}

fn forward(x: &Tensor, resized: &Resized) -> Result<Tensor> {
    let x = x.contiguous()?;
    let shape = resized.shape(&x)?;
    on_cpu_only!("resize_bilinear", &x, forward_host(&x, resized, shape))
}

fn taps<T: Element>([height, width]: [usize; 2], Resized { size, kept }: &Resized) -> [Vec<Taps<T>>; 2] {
    [sources(height, size[0], &kept[0]), sources(width, size[1], &kept[1])]
}

fn forward_host<T: Element>(x: &Tensor, resized: &Resized, shape: [usize; 4]) -> Result<Tensor> {
    let (_, height, width, channels) = x.dims4()?;
    let [rows, columns] = taps([height, width], resized);
    tensor(resample::<T>(&elements(x)?, [width, channels], height, &rows, &columns), &shape)
}

fn backward(shape: [usize; 4], resized: &Resized, gradient: &Tensor) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    on_cpu_only!("resize_bilinear", &gradient, backward_host(shape, resized, &gradient))
}

fn backward_host<T: Element>(shape: [usize; 4], resized: &Resized, gradient: &Tensor) -> Result<Tensor> {
    let [_, height, width, channels] = shape;
    let [rows, columns] = taps::<T>([height, width], resized);
    let sizes = ([columns.len(), channels], rows.len());
    let (rows, columns) = (transposed(&rows, height), transposed(&columns, width));
    tensor(resample::<T>(&elements(gradient)?, sizes.0, sizes.1, &rows, &columns), &shape)
}

impl Tape<'_> {
    /// `x` `[batch, height, width, channels]` at another size by bilinear interpolation, of which a part is kept:
    /// `[batch, rows, columns, channels]`.
    ///
    /// # Errors
    /// If `x` or the part is empty, or the device or type is not supported.
    pub fn resize_bilinear(&self, x: &Value, resized: &Resized) -> Result<Value> {
        let shape = resized.shape(x.tensor())?;
        let output = self.output(&shape, || Err("resize_bilinear"), || forward(x.tensor(), resized))?;
        let (batch, height, width, channels) = x.tensor().dims4()?;
        let resized = resized.clone();
        Ok(self.record(output, &[x], move |gradient, _| {
            Ok(vec![Some(backward([batch, height, width, channels], &resized, gradient)?)])
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use candle_core::Device;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (height, width, rows, columns, seed) in (1usize..6, 1usize..6, 2usize..12, 2usize..12, any::<u64>()),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[2, height, width, 3]);
            let resized = Resized { size: [rows, columns], kept: [1..rows, 0..columns - 1] };
            check_gradients_on_cpu(&inputs, |tape| tape.resize_bilinear(&tape.parameter("x")?, &resized));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[2, 33, 35, 16]);
        let resized = Resized::whole([100, 70]);
        same_bits_for_any_threads(&inputs, |tape| tape.resize_bilinear(&tape.parameter("x")?, &resized));
    }

    /// torch 2.11: `interpolate(torch.tensor([[[[0., 4., 8.]]]]), size=(1, n), mode="bilinear")`.
    #[test]
    fn a_row_of_three_pixels_is_resized_as_by_pytorch() -> Result<()> {
        let x = Tensor::new(&[[[[0f64], [4.0], [8.0]]]], &Device::Cpu)?;
        let row = |to: usize| forward(&x, &Resized::whole([1, to]))?.flatten_all()?.to_vec1::<f64>();
        assert_eq!(row(6)?, [0.0, 1.0, 3.0, 5.0, 7.0, 8.0]);
        assert_eq!(row(2)?, [1.0, 7.0]);
        assert_eq!(row(3)?, [0.0, 4.0, 8.0]);
        let part = Resized { size: [1, 6], kept: [0..1, 2..4] };
        assert_eq!(forward(&x, &part)?.flatten_all()?.to_vec1::<f64>()?, [3.0, 5.0]);
        assert!(forward(&x, &Resized { size: [1, 6], kept: [0..1, 2..7] }).is_err());
        Ok(())
    }
}
