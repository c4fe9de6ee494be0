//! The output of a convolution.

use super::kernel::Kernel;
use super::lanes::{Transform, firsts, load, store};
use super::tiles::{APART, Grid, TASKS, TILES, TransformInput};
use crate::ops::conv2d::epilogue::Epilogue;
use crate::ops::conv2d::source::Source;
use crate::ops::host::{Element, filled, with_scratch};
use crate::ops::panels::Matrix;
use crate::ops::vector::{self, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// `[batch, height, width, out]` from the inputs and the `[3, 3, in, out]` weight.
pub(in super::super) fn forward<T: Element>(
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
