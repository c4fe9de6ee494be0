//! 3×3 convolutions at stride 1 and padding 1 by F(2×2, 3×3): 16 products where the definition has 36, and 9 where the
//! input is an upsampled one. The tensors of a U-Net++ are read where they lie: what is joined or upsampled is never
//! written out.
//!
//! Work is cut into rows of tiles (2×2 output pixels) and blocks of channels, both decided by the sizes alone.

mod kernel;
mod lanes;
mod tiles;
mod weight_gradient;

pub(super) use weight_gradient::backward_weight;

use super::epilogue::Epilogue;
use super::source::Source;
use crate::nn::ops::host::{Element, filled, vectorized, with_scratch};
use crate::nn::ops::matrix::{Matrix, multiply};
use kernel::{Block, Kernel, flipped};
use lanes::{LANES, firsts, load, store};
use rayon::prelude::*;
use std::ops::Range;
use tiles::{Grid, transform_input};

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
            for (number, (block, _)) in kernel.blocks.iter().enumerate() {
                let (planes, depth) = (block.planes(), block.channels.len());
                let stride = tiles * depth + APART;
                with_scratch(planes.len() * stride, |patches| {
                    let source = &inputs[block.source];
                    transform_input(&grid, source, block.channels.clone(), block.doubled, &rows, patches, stride);
                    for (index, &to) in planes.iter().enumerate() {
                        let a = Matrix::row_major(&patches[index * stride..], depth);
                        let b = Matrix::row_major(kernel.plane(number, index), out);
                        let sizes = [tiles, out, depth];
                        multiply(&mut products[to * plane..][..tiles * out], sizes, written[to], a, b);
                        written[to] = true;
                    }
                });
            }
            for untouched in (0..16).filter(|plane| !written[*plane]) {
                products[untouched * plane..][..tiles * out].fill(T::zero());
            }
            let start = grid.first_row(rows.start) * width;
            vectorized(
                #[inline(always)]
                || {
                    for (index, tile) in grid.each(rows.clone()).enumerate() {
                        for first in firsts(out) {
                            let at = |i: usize, j: usize| load(products, (4 * i + j) * plane + index * out + first);
                            for (i, line) in lanes::output(at).iter_mut().enumerate().take(tile.height) {
                                for (j, pixel) in line.iter_mut().enumerate().take(tile.width) {
                                    let place = ((tile.row + i) * grid.width + tile.column + j) * out + first;
                                    epilogue.apply(pixel, place, first);
                                    store(y, place - start, pixel);
                                }
                            }
                        }
                    }
                },
            );
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
    let (grid, kernel) = (Grid::new(size), Kernel::new(inputs, weight, out));
    let gradient = Source { elements: gradient, channels: out, doubled: false };
    let one = |source: usize| backward_one(&grid, &kernel, source, &inputs[source], &gradient);
    wanted.iter().enumerate().map(|(source, wanted)| wanted.then(|| one(source))).collect()
}

fn backward_one<'k, T: Element>(
    grid: &Grid,
    kernel: &'k Kernel<T>,
    source: usize,
    input: &Source<'_, T>,
    gradient: &Source<'_, T>,
) -> Vec<T> {
    let (out, channels) = (gradient.channels, input.channels);
    let of_source =
        |(number, (block, _)): (usize, &'k (Block, Vec<T>))| (block.source == source).then_some((number, block));
    let blocks: Vec<(usize, &Block)> = kernel.blocks.iter().enumerate().filter_map(of_source).collect();
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
                    transform_input(grid, gradient, first..first + depth, input.doubled, &rows, patches, stride);
                    for (index, &from) in planes.iter().enumerate() {
                        for (number, block) in &blocks {
                            let (before, width) = (block.channels.start, block.channels.len());
                            let a = Matrix::row_major(&patches[index * stride..], depth);
                            let turned = planes.iter().position(|plane| *plane == flipped(from)).unwrap_or(index);
                            let b = Matrix::row_major(&kernel.plane(*number, turned)[first..], out).transposed();
                            let c = &mut products[index * plane + tiles * before..][..tiles * width];
                            multiply(c, [tiles, width, depth], first > 0, a, b);
                        }
                    }
                });
            }
            vectorized(
                #[inline(always)]
                || {
                    for (_, block) in &blocks {
                        let (before, width) = (block.channels.start, block.channels.len());
                        let of = |index: usize, tile: usize, first: usize| {
                            index * plane + tiles * before + tile * width + first
                        };
                        for (index, tile) in grid.each(rows.clone()).enumerate() {
                            for first in firsts(width) {
                                let to = before + first;
                                if input.doubled {
                                    let sum = lanes::output_sum(|i, j| load(products, of(3 * i + j, index, first)));
                                    store(dx, index * channels + to, &sum);
                                    continue;
                                }
                                let pixels = lanes::output(|i, j| load(products, of(4 * i + j, index, first)));
                                let row = tile.row - grid.first_row(rows.start);
                                for (i, line) in pixels.iter().enumerate().take(tile.height) {
                                    for (j, pixel) in line.iter().enumerate().take(tile.width) {
                                        let place = (row + i) * grid.width + tile.column + j;
                                        store(dx, place * channels + to, pixel);
                                    }
                                }
                            }
                        }
                    }
                },
            );
        });
    };
    let width = grid.width * channels;
    filled(input.elements.len(), |dx| {
        let shares = if input.doubled { grid.share_halves(rows, dx, width / 2) } else { grid.share(rows, dx, width) };
        shares.into_par_iter().for_each(task);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ops::conv2d::geometry::Geometry;
    use crate::nn::ops::conv2d::source::{self, Joined, with_sources};
    use crate::nn::ops::conv2d::{Conv2d, unfolded};
    use crate::nn::ops::host::{elements, tensor};
    use crate::random::Stream;
    use candle_core::{DType, Device, Tensor};
    use proptest::prelude::*;

    fn normal(stream: &mut Stream, count: usize) -> Vec<f64> {
        (0..count).map(|_| stream.normal()).collect()
    }

    fn far(found: &[f64], expected: &[f64]) -> f64 {
        assert_eq!(found.len(), expected.len());
        found
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, |far, apart| if apart > far { apart } else { far })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Every gradient of the definition is held to finite differences elsewhere; this one to the definition.
        #[test]
        fn values_and_gradients_are_those_of_the_unfolded_convolution(
            (batch, height, width) in (1usize..4, 1usize..10, 1usize..10),
            channels in prop::collection::vec((16usize..40, any::<bool>()), 1..4),
            (wide, out, relu, seed) in (any::<bool>(), 16usize..40, any::<bool>(), any::<u64>()),
        ) {
            let doubles = channels.iter().any(|(_, doubled)| *doubled);
            let (height, width) = if doubles { (height.next_multiple_of(2), width.next_multiple_of(2)) } else { (height, width) };
            let mut stream = Stream::new(seed, "winograd", 0, 0);
            let mut inputs = Vec::new();
            for (index, (channels, doubled)) in channels.into_iter().enumerate() {
                let scale = if doubled { 2 } else { 1 };
                // Sometimes more than one block.
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
            prop_assert!(far(&found, &expected) < 1e-10, "forward {}", far(&found, &expected));

            let gradient = normal(&mut stream, pixels * out);
            let found = with_sources(&inputs, |inputs| backward_weight(size, inputs, out, &gradient)).unwrap();
            let expected = unfolded::backward_weight(&geometry, &elements(&whole).unwrap(), &gradient);
            prop_assert!(far(&found, &expected) < 1e-10, "weight {}", far(&found, &expected));

            let wanted = vec![true; inputs.len()];
            let found =
                with_sources(&inputs, |inputs| backward_input(size, inputs, &wanted, &weight, out, &gradient)).unwrap();
            let expected = tensor(unfolded::backward_input(&geometry, &weight, &gradient), &shape).unwrap();
            let expected = source::part(&inputs, &wanted, &expected).unwrap();
            for (found, expected) in found.into_iter().zip(expected) {
                let expected = expected.unwrap().flatten_all().unwrap().to_vec1().unwrap();
                let apart = far(&found.unwrap(), &expected);
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
