//! 3×3 convolutions at stride 1 and padding 1 by F(2×2, 3×3): 16 products where the definition has 36, and 9 where the
//! input is an upsampled one. The tensors of a U-Net++ are read where they lie: what is joined or upsampled is never
//! written out. Images of 2×2 pixels, one tile each, have a way of their own ([`whole`]).
//!
//! Work is cut into rows of tiles (2×2 output pixels) and blocks of channels, both decided by the sizes alone.

// Loops over constant ranges are unrolled and keep vectors in registers; iterators over arrays of them do not always.
#![allow(clippy::needless_range_loop)]

mod kernel;
mod lanes;
mod tiles;
mod weight_gradient;
pub(super) mod whole;

pub(super) use weight_gradient::backward_weight;

use super::epilogue::Epilogue;
use super::source::Source;
use crate::ops::host::{Element, filled, with_scratch};
use crate::ops::panels::Matrix;
use crate::ops::vector::{self, Simd, WithSimd};
use kernel::{Block, Kernel, Planes, Transposed, flipped};
use lanes::{LANES, Transform, firsts, load, store};
use rayon::prelude::*;
use std::ops::Range;
use tiles::{Grid, TransformInput};

/// Tiles to a task: enough for the matrix product's blocking, few enough that a task's planes stay near.
const TILES: usize = 64;
/// Tasks that there should be at least.
const TASKS: usize = 4;
/// Below this number of tiles transforming the kernel costs more than it saves.
const FEWEST_TILES: usize = 64;

/// Whether this way can be gone and pays: `size` is batch, height and width, `inputs` and `out` are channels.
pub(super) fn pays([batch, height, width]: [usize; 3], inputs: impl IntoIterator<Item = usize>, out: usize) -> bool {
    let tiles = batch * height.div_ceil(2) * width.div_ceil(2);
    out >= LANES && tiles >= FEWEST_TILES && inputs.into_iter().all(|channels| channels >= LANES)
}

/// Elements by which planes are kept apart, so that they do not fall on the same lines of the cache.
const APART: usize = LANES;

/// `[batch, height, width, out]` from the inputs and the `[3, 3, in, out]` weight.
pub(super) fn forward<T: Element>(
    size: [usize; 3],
    inputs: &[Source<'_, T>],
    weight: &[T],
    out: usize,
    epilogue: &Epilogue<'_, T>,
) -> Vec<T> {
    let (grid, kernel) = (Grid::new(size), Kernel::new(inputs, weight, out));
    let rows = grid.rows_to_a_task(TILES, TASKS);
    let width = grid.width * out;
    let task = |(rows, y): (Range<usize>, &mut [T])| {
        let tiles = grid.tiles(&rows);
        let plane = tiles * out + APART;
        with_scratch(16 * plane, |products| {
            let mut written = [false; 16];
            for (block, kernels) in &kernel.blocks {
                let (planes, depth) = (block.planes(), block.channels.len());
                let stride = tiles * depth + APART;
                with_scratch(planes.len() * stride, |patches| {
                    let (grid, source, to, rows) = (&grid, &inputs[block.source], &mut *patches, rows.clone());
                    let (channels, reduced) = (block.channels.clone(), block.doubled);
                    vector::run(TransformInput { grid, source, channels, reduced, rows, to, stride });
                    for (index, &to) in planes.iter().enumerate() {
                        let a = Matrix::row_major(&patches[index * stride..], depth);
                        let c = &mut products[to * plane..][..tiles * out];
                        kernels.plane(index).multiply(c, tiles, written[to], a);
                        written[to] = true;
                    }
                });
            }
            for untouched in (0..16).filter(|plane| !written[*plane]) {
                products[untouched * plane..][..tiles * out].fill(T::zero());
            }
            vector::run(WriteOutput { grid: &grid, products, plane, out, rows, epilogue, y });
        });
    };
    filled(size[0] * size[1] * width, |y| grid.share(rows, y, width).into_par_iter().for_each(task))
}

/// Gradients with respect to those inputs that are `wanted`.
pub(super) fn backward_input<T: Element>(
    size: [usize; 3],
    inputs: &[Source<'_, T>],
    wanted: &[bool],
    weight: &[T],
    out: usize,
    gradient: &[T],
) -> Vec<Option<Vec<T>>> {
    let (grid, kernel) = (Grid::new(size), Transposed::new(inputs, weight, out));
    let gradient = Source { elements: gradient, channels: out, doubled: false };
    let one = |source: usize| backward_one(&grid, &kernel, source, &inputs[source], &gradient);
    wanted.iter().enumerate().map(|(source, wanted)| wanted.then(|| one(source))).collect()
}

fn backward_one<T: Element>(
    grid: &Grid,
    kernel: &Transposed<T>,
    source: usize,
    input: &Source<'_, T>,
    gradient: &Source<'_, T>,
) -> Vec<T> {
    let (out, channels) = (gradient.channels, input.channels);
    let blocks: Vec<&(Block, Vec<Planes<T>>)> =
        kernel.blocks.iter().filter(|(block, _)| block.source == source).collect();
    let planes = kernel::planes(input.doubled);
    let rows = grid.rows_to_a_task(TILES, TASKS);
    let task = |(rows, dx): (Range<usize>, &mut [T])| {
        let tiles = grid.tiles(&rows);
        let plane = tiles * channels + APART;
        with_scratch(planes.len() * plane, |products| {
            for first in (0..out).step_by(kernel::BLOCK) {
                let depth = kernel::BLOCK.min(out - first);
                let stride = tiles * depth + APART;
                with_scratch(planes.len() * stride, |patches| {
                    let (source, to, rows) = (gradient, &mut *patches, rows.clone());
                    let (channels, reduced) = (first..first + depth, input.doubled);
                    vector::run(TransformInput { grid, source, channels, reduced, rows, to, stride });
                    for (index, &from) in planes.iter().enumerate() {
                        for (block, kernels) in &blocks {
                            let (before, width) = (block.channels.start, block.channels.len());
                            let a = Matrix::row_major(&patches[index * stride..], depth);
                            let turned = planes.iter().position(|plane| *plane == flipped(from)).unwrap_or(index);
                            let b = kernels[first / kernel::BLOCK].plane(turned);
                            let c = &mut products[index * plane + tiles * before..][..tiles * width];
                            b.multiply(c, tiles, first > 0, a);
                        }
                    }
                });
            }
            for (block, _) in &blocks {
                let (channels, doubled) = (block.channels.clone(), input.doubled);
                let rows = rows.clone();
                let products = &products[tiles * channels.start..];
                vector::run(WriteGradient { grid, products, plane, channels, of: input.channels, doubled, rows, dx });
            }
        });
    };
    let width = grid.width * channels;
    filled(input.elements.len(), |dx| {
        let shares = if input.doubled { grid.share_halves(rows, dx, width / 2) } else { grid.share(rows, dx, width) };
        shares.into_par_iter().for_each(task);
    })
}

/// Writes Aᵀ m A of the tiles of `rows` and finishes it.
struct WriteOutput<'t, T> {
    grid: &'t Grid,
    /// Planes of `[tile, out]`, `plane` apart.
    products: &'t [T],
    plane: usize,
    out: usize,
    rows: Range<usize>,
    epilogue: &'t Epilogue<'t, T>,
    /// The rows of pixels under `rows`.
    y: &'t mut [T],
}

impl<T: Element> WithSimd for WriteOutput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let WriteOutput { grid, products, plane, out, rows, epilogue, y } = self;
        let (transform, lanes) = (Transform::<T, S>::new(simd), T::lanes::<S>());
        let start = grid.first_row(rows.start) * grid.width * out;
        for (index, tile) in grid.each(rows).enumerate() {
            for first in firsts::<T, S>(out) {
                let pixels = transform.output(
                    #[inline(always)]
                    |i, j| load::<T, S>(products, (4 * i + j) * plane + index * out + first),
                );
                for i in 0..2 {
                    for j in 0..2 {
                        if i < tile.height && j < tile.width {
                            let place = ((tile.row + i) * grid.width + tile.column + j) * out + first;
                            store::<T, S>(y, place - start, pixels[i][j]);
                            if !epilogue.is_empty() {
                                epilogue.apply(&mut y[place - start..][..lanes], place, first);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Writes Aᵀ m A of the tiles of `rows` as some `channels` of an input's gradient, or its sums if the input is doubled.
struct WriteGradient<'t, T> {
    grid: &'t Grid,
    /// Planes of `[tile, channels]`, `plane` apart.
    products: &'t [T],
    plane: usize,
    channels: Range<usize>,
    /// Channels of the input.
    of: usize,
    doubled: bool,
    rows: Range<usize>,
    /// The rows of pixels under `rows`.
    dx: &'t mut [T],
}

impl<T: Element> WithSimd for WriteGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let WriteGradient { grid, products, plane, channels, of, doubled, rows, dx } = self;
        let (transform, width) = (Transform::<T, S>::new(simd), channels.len());
        let start = grid.first_row(rows.start);
        for (index, tile) in grid.each(rows).enumerate() {
            for first in firsts::<T, S>(width) {
                let (from, to) = (index * width + first, channels.start + first);
                if doubled {
                    let sum = transform.output_sum(
                        #[inline(always)]
                        |i, j| load::<T, S>(products, (3 * i + j) * plane + from),
                    );
                    store::<T, S>(dx, index * of + to, sum);
                    continue;
                }
                let pixels = transform.output(
                    #[inline(always)]
                    |i, j| load::<T, S>(products, (4 * i + j) * plane + from),
                );
                for i in 0..2 {
                    for j in 0..2 {
                        if i < tile.height && j < tile.width {
                            let pixel = (tile.row + i - start) * grid.width + tile.column + j;
                            store::<T, S>(dx, pixel * of + to, pixels[i][j]);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::geometry::Geometry;
    use crate::ops::conv2d::source::{self, Joined, with_sources};
    use crate::ops::conv2d::{Conv2d, unfolded};
    use crate::ops::host::{elements, tensor};
    use crate::testing::farthest;
    use candle_core::{DType, Device, Tensor};
    use matssl_base::random::Stream;
    use proptest::prelude::*;

    fn normal(stream: &mut Stream, count: usize) -> Vec<f64> {
        (0..count).map(|_| stream.normal()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Every gradient of the definition is held to finite differences elsewhere; this one to the definition.
        #[test]
        fn values_and_gradients_are_those_of_the_unfolded_convolution(
            (batch, height, width) in (1usize..4, 1usize..20, 1usize..20),
            channels in prop::collection::vec((16usize..40, any::<bool>()), 1..4),
            (wide, out, relu, seed) in (any::<bool>(), 16usize..40, any::<bool>(), any::<u64>()),
            more in prop::sample::select(vec![0usize, 0, 120]),
        ) {
            // Sometimes more than one block, of both inputs and outputs.
            let out = out + more;
            let doubles = channels.iter().any(|(_, doubled)| *doubled);
            let (height, width) = if doubles { (height.next_multiple_of(2), width.next_multiple_of(2)) } else { (height, width) };
            let mut stream = Stream::new(seed, "winograd", 0, 0);
            let mut inputs = Vec::new();
            for (index, (channels, doubled)) in channels.into_iter().enumerate() {
                let scale = if doubled { 2 } else { 1 };
                let shape = [batch, height / scale, width / scale, if wide && index == 0 { channels + 120 } else { channels }];
                let values = normal(&mut stream, shape.iter().product());
                inputs.push(Joined { tensor: tensor(values, &shape).unwrap(), doubled });
            }
            let shape = source::shape(&inputs).unwrap();
            let weight = normal(&mut stream, 9 * shape[3] * out);
            let pixels = batch * height * width;
            let (bias, residual) = (normal(&mut stream, out), normal(&mut stream, pixels * out));
            let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), relu };
            let geometry = Geometry::new(&shape, &[3, 3, shape[3], out], &Conv2d::new(1, 1)).unwrap();
            let whole = source::join(&inputs).unwrap();
            let size = [batch, height, width];
            let found = with_sources(&inputs, |inputs| forward(size, inputs, &weight, out, &epilogue)).unwrap();
            let expected = unfolded::forward(&geometry, &elements(&whole).unwrap(), &weight, &epilogue);
            prop_assert!(farthest(&found, &expected) < 1e-10, "forward {}", farthest(&found, &expected));

            let gradient = normal(&mut stream, pixels * out);
            let found = with_sources(&inputs, |inputs| backward_weight(size, inputs, out, &gradient)).unwrap();
            let expected = unfolded::backward_weight(&geometry, &elements(&whole).unwrap(), &gradient);
            prop_assert!(farthest(&found, &expected) < 1e-10, "weight {}", farthest(&found, &expected));

            let wanted = vec![true; inputs.len()];
            let found =
                with_sources(&inputs, |inputs| backward_input(size, inputs, &wanted, &weight, out, &gradient)).unwrap();
            let expected = tensor(unfolded::backward_input(&geometry, &weight, &gradient), &shape).unwrap();
            let expected = source::part(&inputs, &wanted, &expected).unwrap();
            for (found, expected) in found.into_iter().zip(expected) {
                let expected = expected.unwrap().flatten_all().unwrap().to_vec1().unwrap();
                let apart = farthest(&found.unwrap(), &expected);
                prop_assert!(apart < 1e-10, "input {apart}");
            }
        }
    }

    #[test]
    fn float32_is_as_good_as_the_definition() {
        let size = [2, 16, 16];
        let mut stream = Stream::new(3, "winograd", 0, 0);
        let x = Tensor::from_vec(normal(&mut stream, 2 * 256 * 256), (2, 16, 16, 256), &Device::Cpu).unwrap();
        let weight = normal(&mut stream, 9 * 256 * 256);
        let truth = with_sources(&[Joined { tensor: x.clone(), doubled: false }], |inputs| {
            forward(size, inputs, &weight, 256, &Epilogue::NONE)
        })
        .unwrap();
        let single: Vec<f32> = weight.iter().map(|value| *value as f32).collect();
        let x = Joined { tensor: x.to_dtype(DType::F32).unwrap(), doubled: false };
        let found = with_sources(&[x], |inputs| forward(size, inputs, &single, 256, &Epilogue::NONE)).unwrap();
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let error =
            norm(&mut found.iter().zip(&truth).map(|(a, b)| f64::from(*a) - b)) / norm(&mut truth.iter().copied());
        // Rounding the inputs alone gives 4e-8 · √2; F(4×4) would give 2e-6.
        assert!(error < 4e-7, "{error}");
    }
}
