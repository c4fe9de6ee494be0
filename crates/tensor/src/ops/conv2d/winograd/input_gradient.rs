//! Gradients with respect to the inputs.

use super::kernel::{self, Block, Planes, Transposed, flipped};
use super::lanes::{Transform, firsts, load, store};
use super::tiles::{APART, Grid, TASKS, TILES, TransformInput};
use crate::ops::conv2d::source::Source;
use crate::ops::host::{Element, filled, with_scratch};
use crate::ops::panels::Matrix;
use crate::ops::vector::{self, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Gradients with respect to those inputs that are `wanted`.
pub(in super::super) fn backward_input<T: Element>(
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
