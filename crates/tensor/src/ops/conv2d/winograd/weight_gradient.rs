//! Gradient with respect to the kernel: Gᵀ [Σ over tiles (Bᵀ d B)ᵀ (A g Aᵀ)] G.

use super::kernel::{Block, store_planes};
use super::lanes::{Transform, firsts, load, load_some, store};
use super::tiles::{APART, Grid, TransformInput};
use crate::ops::conv2d::source::Source;
use crate::ops::host::{Element, filled, with_scratch};
use crate::ops::panels::{Layout, Matrix, Panels, VECTORS, packed_length, panel};
use crate::ops::vector::{self, Simd, WithSimd};
use rayon::prelude::*;
use std::array::from_fn;
use std::ops::Range;

/// Tiles that enter a matrix product together.
const TILES: usize = 128;
/// Tasks at least and at most, as far as there are tiles for them.
const TASKS: [usize; 2] = [4, 16];
/// Tiles by which their number grows: each leaves a partial sum as large as its block of the kernel, written and read
/// again.
const TILES_OF_A_TASK: usize = 1024;
/// Fewest tiles to a partial sum.
const FEWEST_TILES: usize = 64;

/// `[3, 3, in, out]` from the inputs and the output's gradient.
pub(in super::super) fn backward_weight<T: Element>(
    size: [usize; 3],
    inputs: &[Source<'_, T>],
    out: usize,
    gradient: &[T],
) -> Vec<T> {
    let (grid, blocks) = (Grid::new(size), Block::all(inputs));
    let tiles = grid.tiles(&(0..grid.rows()));
    let parts = (tiles / TILES_OF_A_TASK).clamp(TASKS[0], TASKS[1]).div_ceil(blocks.len());
    let parts = parts.min(tiles / FEWEST_TILES).min(grid.rows()).max(1);
    let gradient = Source { elements: gradient, channels: out, doubled: false };
    let tasks: Vec<(usize, usize)> =
        (0..blocks.len()).flat_map(|block| (0..parts).map(move |part| (block, part))).collect();
    let found: Vec<Vec<T>> = tasks
        .into_par_iter()
        .map(|(block, part)| {
            let rows = part * grid.rows() / parts..(part + 1) * grid.rows() / parts;
            let block = &blocks[block];
            partial(&grid, block, &inputs[block.source], &gradient, rows)
        })
        .collect();
    let total = inputs.iter().map(|input| input.channels).sum::<usize>() * out;
    filled(9 * total, |weight| {
        weight.par_chunks_mut(total).enumerate().for_each(|(tap, weight)| {
            for (index, block) in blocks.iter().enumerate() {
                let size = block.channels.len() * out;
                let to = &mut weight[block.offset * out..][..size];
                for part in 0..parts {
                    let from = &found[index * parts + part][tap * size..][..size];
                    match part {
                        0 => to.copy_from_slice(from),
                        _ => vector::vectorized(
                            #[inline(always)]
                            || to.iter_mut().zip(from).for_each(|(sum, value)| *sum += *value),
                        ),
                    }
                }
            }
        });
    })
}

/// What the tiles of `rows` add to the kernels of one block: `[3, 3, channels, out]`.
fn partial<T: Element>(
    grid: &Grid,
    block: &Block,
    input: &Source<'_, T>,
    gradient: &Source<'_, T>,
    rows: Range<usize>,
) -> Vec<T> {
    let (channels, out, planes) = (block.channels.len(), gradient.channels, block.planes());
    let places: [Option<usize>; 16] = from_fn(|place| planes.iter().position(|plane| *plane == place));
    let size = channels * out;
    let step = grid.rows_to_a_task(TILES, 1);
    let most = grid.tiles(&(0..step));
    let (patch, slope) = (most * channels + APART, packed_length::<T>(most, out) + APART);
    with_scratch(planes.len() * (size + APART), |sums| {
        with_scratch(planes.len() * patch, |patches| {
            with_scratch(planes.len() * slope, |slopes| {
                for first in rows.clone().step_by(step) {
                    let (begun, rows) = (first > rows.start, first..(first + step).min(rows.end));
                    let tiles = grid.tiles(&rows);
                    let (channels, reduced) = (block.channels.clone(), block.doubled);
                    let (source, to, stride) = (input, &mut *patches, patch);
                    vector::run(TransformInput { grid, source, channels, reduced, rows: rows.clone(), to, stride });
                    let (to, stride) = (&mut *slopes, slope);
                    vector::run(TransformGradient { grid, gradient, reduced, rows, tiles, to, stride });
                    for index in 0..planes.len() {
                        let a = Matrix::row_major(&patches[index * patch..], block.channels.len()).transposed();
                        let (elements, apart) = (&slopes[index * slope..], panel::<T>() * tiles);
                        let sums = &mut sums[index * (size + APART)..][..size];
                        let slopes = Panels { elements, inner: tiles, columns: out, apart };
                        slopes.multiply(sums, block.channels.len(), begun, a);
                    }
                }
            });
        });
        filled(9 * size, |to| vector::run(TransformSums { sums, places, size, to }))
    })
}

/// Writes Gᵀ u G, `[3, 3, size]`, from sums in planes.
struct TransformSums<'t, T> {
    sums: &'t [T],
    /// The plane that holds each element of u.
    places: [Option<usize>; 16],
    size: usize,
    to: &'t mut [T],
}

impl<T: Element> WithSimd for TransformSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let TransformSums { sums, places, size, to } = self;
        let transform = Transform::<T, S>::new(simd);
        for first in firsts::<T, S>(size) {
            let kernel = transform.weight_gradient(
                #[inline(always)]
                |i, j| match places[4 * i + j] {
                    Some(index) => load::<T, S>(sums, index * (size + APART) + first),
                    None => transform.zero(),
                },
            );
            for tap in 0..9 {
                store::<T, S>(to, tap * size + first, kernel[tap / 3][tap % 3]);
            }
        }
    }
}

/// Writes A g Aᵀ of the tiles of `rows`: planes of `[tile, out]` in panels, `stride` from one to the next, `reduced` as
/// in [`TransformInput`].
struct TransformGradient<'t, T> {
    grid: &'t Grid,
    gradient: &'t Source<'t, T>,
    reduced: bool,
    rows: Range<usize>,
    /// How many they are.
    tiles: usize,
    to: &'t mut [T],
    stride: usize,
}

impl<T: Element> WithSimd for TransformGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let TransformGradient { grid, gradient, reduced, rows, tiles, to, stride } = self;
        let (out, transform) = (gradient.channels, Transform::<T, S>::new(simd));
        let lanes = T::lanes::<S>();
        let layout = Layout::new::<T, S>(out, VECTORS * lanes * tiles);
        for (index, tile) in grid.each(rows).enumerate() {
            for vector in 0..layout.vectors {
                let first = vector * lanes;
                let lanes = lanes.min(out - first);
                let slopes = transform.gradient(
                    #[inline(always)]
                    |i, j| {
                        if i >= tile.height || j >= tile.width {
                            return transform.zero();
                        }
                        let pixel = (tile.row + i) * grid.width + tile.column + j;
                        load_some::<T, S>(simd, gradient.elements, pixel * out + first, lanes)
                    },
                );
                store_planes::<T, S>(to, stride, layout.at(index, vector), &slopes, reduced);
            }
        }
    }
}
