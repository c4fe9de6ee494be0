//! Convolution of small images, tap by tap: for each tap of the kernel one product with the pixels that it meets inside the
//! image. Where much of what the kernel covers is padding, this saves the products with zeros. Each weight is read once.
//!
//! Images lie pixel by pixel here, `[pixel, batch, channels]`: what all images have at one pixel are a product's rows.

use super::epilogue::Epilogue;
use super::geometry::Geometry;
use crate::ops::host::{Element, filled};
use crate::ops::panels::{Matrix, Packed, with_panels};
use crate::ops::vector::vectorized;
use rayon::prelude::*;

/// Fewest images for which the products are large enough.
const FEWEST_IMAGES: usize = 8;
/// Columns of a task: so much of one tap's weight stays in the second-level cache.
const COLUMNS: usize = 64;
/// Rows of the weight gradient to a task.
const ROWS: usize = 96;

/// The share of the taps that fall inside the image; none if there are too few images for this algorithm.
pub(super) fn share_inside(geometry: &Geometry) -> Option<f64> {
    if geometry.batch < FEWEST_IMAGES {
        return None;
    }
    let along = |axis: usize| {
        let taps = (0..geometry.kernel[axis]).map(|tap| geometry.seen(axis, tap).len()).sum::<usize>();
        taps as f64 / (geometry.kernel[axis] * geometry.out[axis]) as f64
    };
    Some(along(0) * along(1))
}

/// Neighbouring pixels of the output that a tap takes to neighbouring pixels of the input.
#[derive(Clone, Copy)]
struct Run {
    output: usize,
    input: usize,
    pixels: usize,
}

/// The runs of every tap.
fn runs(geometry: &Geometry) -> Vec<Vec<Run>> {
    let Geometry { size: [_, width], kernel: [kernel_h, kernel_w], out: [_, out_w], stride, .. } = *geometry;
    let input_index =
        |axis: usize, out: usize, tap: usize| out * stride + tap * geometry.dilation - geometry.padding[axis];
    let runs_of = |tap: usize| {
        let (ky, kx) = (tap / kernel_w, tap % kernel_w);
        let (rows, columns) = (geometry.seen(0, ky), geometry.seen(1, kx));
        let pixels = if stride == 1 { columns.len().max(1) } else { 1 };
        let run = |y: usize, x: usize| Run {
            output: y * out_w + x,
            input: input_index(0, y, ky) * width + input_index(1, x, kx),
            pixels,
        };
        rows.flat_map(|y| columns.clone().step_by(pixels).map(move |x| run(y, x))).collect()
    };
    (0..kernel_h * kernel_w).map(runs_of).collect()
}

/// `[batch, height, width, out]` from the input and the `[taps, in, out]` weight.
pub(super) fn forward<T: Element>(geometry: &Geometry, x: &[T], weight: &[T], epilogue: &Epilogue<'_, T>) -> Vec<T> {
    let Geometry { channels_in, channels_out, .. } = *geometry;
    let pairs = |run: &Run| (run.input, run.output, run.pixels);
    carry(geometry, [channels_in, channels_out], geometry.out, x, pairs, epilogue, |tap, first| Matrix {
        elements: &weight[tap * channels_in * channels_out + first..],
        row_stride: channels_out,
        column_stride: 1,
    })
}

/// Gradient with respect to the input.
pub(super) fn backward_input<T: Element>(geometry: &Geometry, weight: &[T], gradient: &[T]) -> Vec<T> {
    let Geometry { channels_in, channels_out, .. } = *geometry;
    let pairs = |run: &Run| (run.output, run.input, run.pixels);
    carry(geometry, [channels_out, channels_in], geometry.size, gradient, pairs, &Epilogue::NONE, |tap, first| Matrix {
        elements: &weight[(tap * channels_in + first) * channels_out..],
        row_stride: 1,
        column_stride: channels_out,
    })
}

/// Adds `from · weight(tap)` to where `pairs` (from, to, number of pixels) says, for every run of every tap. `weight`
/// gives a tap's matrix `[inner, columns]` from a column on; the outcome is `[batch, size, columns]`.
fn carry<'w, T: Element>(
    geometry: &Geometry,
    [inner, columns]: [usize; 2],
    size: [usize; 2],
    from: &[T],
    pairs: impl Fn(&Run) -> (usize, usize, usize) + Sync,
    epilogue: &Epilogue<'_, T>,
    weight: impl Fn(usize, usize) -> Matrix<'w, T> + Sync,
) -> Vec<T> {
    let (batch, pixels, runs) = (geometry.batch, size[0] * size[1], runs(geometry));
    let from = by_pixel(from, batch, inner);
    // `[block of columns, pixel, batch, column]`.
    let blocks = filled(pixels * batch * columns, |blocks| {
        blocks.par_chunks_mut(pixels * batch * COLUMNS).enumerate().for_each(|(index, to)| {
            let width = to.len() / (pixels * batch);
            to.fill(T::zero());
            for (tap, runs) in runs.iter().enumerate().filter(|(_, runs)| !runs.is_empty()) {
                with_panels(weight(tap, index * COLUMNS), [inner, width], |weight| {
                    for (source, target, count) in runs.iter().map(&pairs) {
                        let rows = count * batch;
                        let from = Matrix::row_major(&from[source * batch * inner..][..rows * inner], inner);
                        weight.multiply(&mut to[target * batch * width..][..rows * width], rows, true, from);
                    }
                });
            }
        });
    });
    filled(blocks.len(), |whole| {
        whole.par_chunks_mut(columns).enumerate().for_each(|(at, to)| {
            let (image, pixel) = (at / pixels, at % pixels);
            for (to, block) in to.chunks_mut(COLUMNS).zip(blocks.chunks(pixels * batch * COLUMNS)) {
                let width = to.len();
                to.copy_from_slice(&block[(pixel * batch + image) * width..][..width]);
            }
            vectorized(
                #[inline(always)]
                || epilogue.apply(to, at * columns, 0),
            );
        });
    })
}

/// Gradient with respect to the weight, `[taps, in, out]`.
pub(super) fn backward_weight<T: Element>(geometry: &Geometry, x: &[T], gradient: &[T]) -> Vec<T> {
    let Geometry { batch, channels_in, channels_out, .. } = *geometry;
    let runs = runs(geometry);
    let (x, gradient) = (by_pixel(x, batch, channels_in), by_pixel(gradient, batch, channels_out));
    let pack = |pixel: &[T]| Packed::new(Matrix::row_major(pixel, channels_out), batch, channels_out);
    let gradient: Vec<Packed<T>> = gradient.par_chunks(batch * channels_out).map(pack).collect();
    filled(runs.len() * channels_in * channels_out, |d_weight| {
        let taps = d_weight.par_chunks_mut(channels_in * channels_out).zip(&runs);
        taps.for_each(|(d_weight, runs)| {
            d_weight.par_chunks_mut(ROWS * channels_out).enumerate().for_each(|(index, d_weight)| {
                let rows = d_weight.len() / channels_out;
                if runs.is_empty() {
                    d_weight.fill(T::zero());
                }
                let each = runs.iter().flat_map(|run| (0..run.pixels).map(|p| (run.input + p, run.output + p)));
                for (number, (input, output)) in each.enumerate() {
                    let x = &x[input * batch * channels_in..][..batch * channels_in][index * ROWS..];
                    let x = Matrix { elements: x, row_stride: 1, column_stride: channels_in };
                    gradient[output].multiply(d_weight, rows, number > 0, x);
                }
            });
        });
    })
}

/// `[pixel, batch, channels]` from `[batch, pixel, channels]`.
fn by_pixel<T: Element>(images: &[T], batch: usize, channels: usize) -> Vec<T> {
    let pixels = images.len() / (batch * channels);
    filled(images.len(), |turned| {
        turned.par_chunks_mut(batch * channels).enumerate().for_each(|(pixel, to)| {
            for (image, to) in to.chunks_exact_mut(channels).enumerate() {
                to.copy_from_slice(&images[(image * pixels + pixel) * channels..][..channels]);
            }
        });
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Conv2d, unfolded};
    use super::*;
    use crate::testing::farthest;
    use matssl_base::random::Stream;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn values_and_gradients_are_those_of_the_unfolded_convolution(
            (batch, height, width) in (1usize..10, 1usize..6, 1usize..6),
            (c_in, c_out) in (1usize..100, 1usize..150),
            kernel in [1usize..4, 1usize..4],
            (stride, padding, dilation) in (1usize..4, 0usize..4, 1usize..3),
            (bias, seed) in (any::<bool>(), any::<u64>()),
        ) {
            let mut stream = Stream::new(seed, "tapwise", 0, 0);
            let mut normal = |count: usize| (0..count).map(|_| stream.normal()).collect::<Vec<f64>>();
            let options = Conv2d { stride, padding, dilation, groups: 1 };
            let geometry = Geometry::new(
                &[batch, height, width, c_in],
                &[kernel[0], kernel[1], c_in, c_out],
                &options,
            );
            prop_assume!(geometry.is_ok());
            let geometry = geometry.unwrap();
            let x = normal(batch * height * width * c_in);
            let weight = normal(kernel[0] * kernel[1] * c_in * c_out);
            let gradient = normal(geometry.shape().iter().product());
            let bias = bias.then(|| normal(c_out));
            let epilogue = Epilogue { bias: bias.as_deref(), residual: Some(&gradient), relu: true };
            let flat = geometry.flattened();
            let y = [forward(&geometry, &x, &weight, &epilogue), unfolded::forward(&flat, &x, &weight, &epilogue)];
            prop_assert!(farthest(&y[0], &y[1]) < 1e-10);
            let dx = [backward_input(&geometry, &weight, &gradient), unfolded::backward_input(&flat, &weight, &gradient)];
            prop_assert!(farthest(&dx[0], &dx[1]) < 1e-10);
            let dw = [backward_weight(&geometry, &x, &gradient), unfolded::backward_weight(&flat, &x, &gradient)];
            prop_assert!(farthest(&dw[0], &dw[1]) < 1e-10);
        }
    }
}
