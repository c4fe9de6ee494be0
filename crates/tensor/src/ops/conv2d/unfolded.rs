//! Convolution of any geometry: tiles of unfolded input times the weight matrix.

use super::epilogue::Epilogue;
use super::geometry::{Geometry, Tile};
use crate::ops::host::{Element, filled, with_scratch};
use crate::ops::matrix::multiply;
use crate::ops::panels::{Matrix, Packed};
use crate::ops::vector::vectorized;
use rayon::prelude::*;

/// For outputs and input gradients: the unfolded input stays in the second-level cache.
const TILE: Tile = Tile { bytes: 1 << 17, pixels: usize::MAX };
/// For weight gradients, whose sums are read and written once for every tile.
const WEIGHT_TILE: Tile = Tile { bytes: 1 << 20, pixels: 256 };
/// Left-hand rows up to which laying out the right-hand side takes a large part of a product's time.
const FEW_ROWS: usize = 64;
/// Elements from which on a weight's gradient is not computed in partial sums.
const LARGE_WEIGHT: usize = 1 << 18;
/// Rows of such a gradient to a task.
const ROWS: usize = 96;
/// Most elements of a weight gradient's temporary memory: partial sums, or the unfolded input and the output's gradient in
/// panels.
const BESIDE_ELEMENTS: usize = 1 << 22;
/// Elements a task sums or reduces.
const CHUNK: usize = 1 << 15;

/// `[batch, height, width, out]` from the input and the `[patch, out]` weight.
pub(super) fn forward<T: Element>(geometry: &Geometry, x: &[T], weight: &[T], epilogue: &Epilogue<'_, T>) -> Vec<T> {
    let (patch, channels) = (geometry.patch(), geometry.channels_out);
    let row = geometry.out[1] * channels;
    let tile = geometry.tile_rows::<T>(&TILE);
    let weight = Packed::new(Matrix::row_major(weight, channels), patch, channels);
    filled(geometry.rows() * row, |y| {
        y.par_chunks_mut(tile * row).enumerate().for_each(|(index, y)| {
            let rows = index * tile..index * tile + y.len() / row;
            with_scratch(geometry.unfolded(&rows), |buffer| {
                let columns = geometry.unfold(x, rows, buffer);
                weight.multiply(y, y.len() / channels, false, Matrix::row_major(columns, patch));
            });
            if !epilogue.is_empty() {
                let first = index * tile * row;
                vectorized(
                    #[inline(always)]
                    || {
                        for (pixel, values) in y.chunks_exact_mut(channels).enumerate() {
                            epilogue.apply(values, first + pixel * channels, 0);
                        }
                    },
                );
            }
        });
    })
}

/// Gradient with respect to the input.
pub(super) fn backward_input<T: Element>(geometry: &Geometry, weight: &[T], gradient: &[T]) -> Vec<T> {
    if geometry.is_pointwise() {
        return backward_pointwise(geometry, weight, gradient);
    }
    match geometry.reversed() {
        Some(reversed) => forward(&reversed, gradient, &flipped(geometry, weight), &Epilogue::NONE),
        None => scatter(geometry, weight, gradient),
    }
}

/// For 1×1 convolutions: the gradient times the transposed weight.
fn backward_pointwise<T: Element>(geometry: &Geometry, weight: &[T], gradient: &[T]) -> Vec<T> {
    let [c_in, c_out] = [geometry.channels_in, geometry.channels_out];
    let reversed = Geometry { channels_in: c_out, channels_out: c_in, ..geometry.clone() };
    let rows = reversed.tile_rows::<T>(&TILE) * geometry.out[1];
    let weight = Packed::new(Matrix::row_major(weight, c_out).transposed(), c_out, c_in);
    filled(geometry.rows() * geometry.out[1] * c_in, |dx| {
        dx.par_chunks_mut(rows * c_in).zip(gradient.par_chunks(rows * c_out)).for_each(|(dx, gradient)| {
            weight.multiply(dx, dx.len() / c_in, false, Matrix::row_major(gradient, c_out));
        });
    })
}

/// The kernel turned by 180° with its channels exchanged: `[kh, kw, out, in]`.
fn flipped<T: Element>(geometry: &Geometry, weight: &[T]) -> Vec<T> {
    let (c_in, c_out) = (geometry.channels_in, geometry.channels_out);
    let taps = geometry.kernel[0] * geometry.kernel[1];
    filled(weight.len(), |turned| {
        turned.par_chunks_mut(c_in * c_out).enumerate().for_each(|(tap, turned)| {
            let source = &weight[(taps - 1 - tap) * c_in * c_out..][..c_in * c_out];
            // Blocks, so that neither side strides through memory for long.
            for first in (0..c_in).step_by(16) {
                let last = (first + 16).min(c_in);
                for (o, turned) in turned.chunks_exact_mut(c_in).enumerate() {
                    for i in first..last {
                        turned[i] = source[i * c_out + o];
                    }
                }
            }
        });
    })
}

/// For strided convolutions: gradients of unfolded patches, added back image by image.
fn scatter<T: Element>(geometry: &Geometry, weight: &[T], gradient: &[T]) -> Vec<T> {
    let (patch, channels) = (geometry.patch(), geometry.channels_out);
    let image = geometry.size[0] * geometry.size[1] * geometry.channels_in;
    let tile = geometry.tile_rows::<T>(&TILE).min(geometry.out[0]);
    let weight = Packed::new(Matrix::row_major(weight, channels).transposed(), channels, patch);
    filled(geometry.batch * image, |dx| {
        dx.par_chunks_mut(image).enumerate().for_each(|(index, dx)| {
            dx.fill(T::zero());
            let last = (index + 1) * geometry.out[0];
            for start in (index * geometry.out[0]..last).step_by(tile) {
                let rows = start..(start + tile).min(last);
                let pixels = rows.len() * geometry.out[1];
                let gradient = &gradient[rows.start * geometry.out[1] * channels..][..pixels * channels];
                with_scratch(pixels * patch, |buffer| {
                    weight.multiply(buffer, pixels, false, Matrix::row_major(gradient, channels));
                    vectorized(
                        #[inline(always)]
                        || geometry.fold(buffer, rows.clone(), index * image, dx),
                    );
                });
            }
        });
    })
}

/// Gradient with respect to the weight, `[patch, out]`.
pub(super) fn backward_weight<T: Element>(geometry: &Geometry, x: &[T], gradient: &[T]) -> Vec<T> {
    let beside = geometry.unfolded(&(0..geometry.rows())) + gradient.len();
    let large = geometry.patch() * geometry.channels_out >= LARGE_WEIGHT;
    match large && beside <= BESIDE_ELEMENTS {
        true => backward_large_weight(geometry, x, gradient),
        false => backward_small_weight(geometry, x, gradient),
    }
}

/// The gradient of a weight with many elements and few pixels: each task does some of its rows, over all pixels.
fn backward_large_weight<T: Element>(geometry: &Geometry, x: &[T], gradient: &[T]) -> Vec<T> {
    let (patch, channels) = (geometry.patch(), geometry.channels_out);
    let tile = geometry.tile_rows::<T>(&WEIGHT_TILE);
    let pixels = tile * geometry.out[1];
    let pack = |gradient: &[T]| {
        let pixels = gradient.len() / channels;
        Packed::new(Matrix::row_major(gradient, channels), pixels, channels)
    };
    let gradient: Vec<Packed<T>> = gradient.par_chunks(pixels * channels).map(pack).collect();
    let unfolded = filled(geometry.unfolded(&(0..geometry.rows())), |unfolded| {
        unfolded.par_chunks_mut(pixels * patch).enumerate().for_each(|(index, unfolded)| {
            geometry.unfold(x, index * tile..((index + 1) * tile).min(geometry.rows()), unfolded);
        });
    });
    let columns = if geometry.is_pointwise() { x } else { &unfolded };
    filled(patch * channels, |d_weight| {
        d_weight.par_chunks_mut(ROWS * channels).enumerate().for_each(|(block, d_weight)| {
            let rows = d_weight.len() / channels;
            for (index, gradient) in gradient.iter().enumerate() {
                let elements = &columns[index * pixels * patch + block * ROWS..];
                let columns = Matrix { elements, row_stride: 1, column_stride: patch };
                gradient.multiply(d_weight, rows, index > 0, columns);
            }
        });
    })
}

/// The gradient of a weight with few elements and many pixels, from partial sums; the sizes decide how many.
fn backward_small_weight<T: Element>(geometry: &Geometry, x: &[T], gradient: &[T]) -> Vec<T> {
    let (patch, channels) = (geometry.patch(), geometry.channels_out);
    let row = geometry.out[1] * channels;
    let tile = geometry.tile_rows::<T>(&WEIGHT_TILE);
    let tiles = geometry.rows().div_ceil(tile);
    let parts = (BESIDE_ELEMENTS / (patch * channels)).clamp(4, 16).min(tiles);
    // With few channels before it and more after it, a 1×1 convolution's is computed as its transpose.
    let turned = geometry.is_pointwise() && patch <= FEW_ROWS && patch < channels;
    let partial = |part: usize| {
        let mut sum = vec![T::zero(); patch * channels];
        for index in part * tiles / parts..(part + 1) * tiles / parts {
            let rows = index * tile..((index + 1) * tile).min(geometry.rows());
            let gradient = &gradient[rows.start * row..rows.end * row];
            let pixels = rows.len() * geometry.out[1];
            with_scratch(geometry.unfolded(&rows), |buffer| {
                let columns = geometry.unfold(x, rows, buffer);
                let (x, gradient) = (Matrix::row_major(columns, patch), Matrix::row_major(gradient, channels));
                match turned {
                    false => multiply(&mut sum, [patch, channels, pixels], true, x.transposed(), gradient),
                    true => multiply(&mut sum, [channels, patch, pixels], true, gradient.transposed(), x),
                }
            });
        }
        sum
    };
    let partials: Vec<Vec<T>> = (0..parts).into_par_iter().map(partial).collect();
    let mut partials = partials.into_iter();
    let mut total = partials.next().unwrap_or_default();
    let rest: Vec<Vec<T>> = partials.collect();
    total.par_chunks_mut(CHUNK).enumerate().for_each(|(index, total)| {
        vectorized(
            #[inline(always)]
            || {
                for part in &rest {
                    for (total, value) in total.iter_mut().zip(&part[index * CHUNK..]) {
                        *total += *value;
                    }
                }
            },
        );
    });
    match turned {
        false => total,
        true => (0..patch * channels).map(|at| total[at % channels * patch + at / channels]).collect(),
    }
}

/// Gradient with respect to the bias: the sum over all pixels, `[channels]`, in double precision.
pub(super) fn backward_bias<T: Element>(channels: usize, gradient: &[T]) -> Vec<T> {
    let chunk = (CHUNK / channels).max(1) * channels;
    let partials: Vec<Vec<f64>> = gradient
        .par_chunks(chunk)
        .map(|pixels| {
            let mut sum = vec![0.0; channels];
            vectorized(
                #[inline(always)]
                || {
                    for pixel in pixels.chunks_exact(channels) {
                        for (sum, value) in sum.iter_mut().zip(pixel) {
                            *sum += value.widen();
                        }
                    }
                },
            );
            sum
        })
        .collect();
    (0..channels).map(|c| T::narrow(partials.iter().map(|partial| partial[c]).sum())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Conv2d;
    use super::*;
    use matssl_base::random::Stream;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn gradients_of_large_and_small_weights_are_computed_alike(
            (batch, height, width) in (1usize..4, 3usize..30, 3usize..30),
            (c_in, c_out) in (1usize..110, 1usize..80),
            (kernel, stride, seed) in (1usize..4, 1usize..3, any::<u64>()),
        ) {
            let mut stream = Stream::new(seed, "unfolded", 0, 0);
            let options = Conv2d::new(stride, kernel / 2);
            let (x, weight) = ([batch, height, width, c_in], [kernel, kernel, c_in, c_out]);
            let geometry = Geometry::new(&x, &weight, &options).unwrap();
            let mut normal = |count: usize| (0..count).map(|_| stream.normal()).collect::<Vec<f64>>();
            let (x, gradient) = (normal(x.iter().product()), normal(geometry.shape().iter().product()));
            let flat = geometry.flattened();
            let large = backward_large_weight(&flat, &x, &gradient);
            let small = backward_small_weight(&flat, &x, &gradient);
            for (large, small) in large.iter().zip(&small) {
                prop_assert!((large - small).abs() < 1e-10, "{large} {small}");
            }
        }
    }
}
