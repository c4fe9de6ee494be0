//! Where the tiles of 2×2 output pixels lie, and the transform of the patches under them.

use super::kernel::{BLOCK, store_planes};
use super::lanes::{LANES, Transform, firsts, load, store};
use crate::ops::conv2d::source::Source;
use crate::ops::host::Element;
use crate::ops::vector::{Simd, WithSimd};
use std::ops::Range;

/// Tiles to a task: enough for the matrix product's blocking, few enough that a task's planes stay in the cache.
pub(super) const TILES: usize = 64;
/// The least number of tasks.
pub(super) const TASKS: usize = 4;
/// Elements between two planes, so that they do not compete for the same cache lines.
pub(super) const APART: usize = LANES;

/// The tiles of a batch of images; rows of tiles are counted over the whole batch.
pub(super) struct Grid {
    batch: usize,
    height: usize,
    pub(super) width: usize,
}

/// Where a tile lies.
pub(super) struct Tile {
    image: usize,
    /// The tile's first row of pixels, counted within its image.
    y: usize,
    /// The same, counted over the batch.
    pub(super) row: usize,
    /// Its first column of pixels.
    pub(super) column: usize,
    /// Rows of it that lie inside the image.
    pub(super) height: usize,
    /// Columns of it that lie inside the image.
    pub(super) width: usize,
}

impl Grid {
    pub(super) fn new([batch, height, width]: [usize; 3]) -> Self {
        Grid { batch, height, width }
    }

    /// Rows of tiles in the batch.
    pub(super) fn rows(&self) -> usize {
        self.batch * self.height.div_ceil(2)
    }

    /// Number of tiles in `rows`.
    pub(super) fn tiles(&self, rows: &Range<usize>) -> usize {
        rows.len() * self.width.div_ceil(2)
    }

    /// Rows that hold about `tiles` tiles, or fewer so that there are `tasks` tasks.
    pub(super) fn rows_to_a_task(&self, tiles: usize, tasks: usize) -> usize {
        (tiles / self.width.div_ceil(2)).min(self.rows() / tasks).max(1)
    }

    /// The first row of pixels, counted over the batch, of row of tiles `row`.
    pub(super) fn first_row(&self, row: usize) -> usize {
        let rows = self.height.div_ceil(2);
        row / rows * self.height + 2 * (row % rows)
    }

    /// The tiles of `rows`, one after the other.
    #[inline(always)]
    pub(super) fn each(&self, rows: Range<usize>) -> impl Iterator<Item = Tile> {
        let (to_an_image, columns) = (self.height.div_ceil(2), self.width.div_ceil(2));
        rows.flat_map(move |row| {
            let (image, y) = (row / to_an_image, 2 * (row % to_an_image));
            (0..columns).map(move |column| Tile {
                image,
                y,
                row: image * self.height + y,
                column: 2 * column,
                height: (self.height - y).min(2),
                width: (self.width - 2 * column).min(2),
            })
        })
    }

    /// Cuts `pixels`, `width` elements to a row of them, into the parts that belong to every `rows` rows of tiles.
    pub(super) fn share<'p, T>(
        &self,
        rows: usize,
        pixels: &'p mut [T],
        width: usize,
    ) -> Vec<(Range<usize>, &'p mut [T])> {
        self.cut(rows, pixels, |row| self.first_row(row) * width)
    }

    /// As [`Grid::share`], for an image of half the size.
    pub(super) fn share_halves<'p, T>(
        &self,
        rows: usize,
        pixels: &'p mut [T],
        width: usize,
    ) -> Vec<(Range<usize>, &'p mut [T])> {
        self.cut(rows, pixels, |row| row * width)
    }

    fn cut<'p, T>(
        &self,
        rows: usize,
        mut pixels: &'p mut [T],
        start: impl Fn(usize) -> usize,
    ) -> Vec<(Range<usize>, &'p mut [T])> {
        let mut shares = Vec::with_capacity(self.rows().div_ceil(rows));
        for first in (0..self.rows()).step_by(rows) {
            let last = (first + rows).min(self.rows());
            let (share, rest) = pixels.split_at_mut(start(last) - start(first));
            shares.push((first..last, share));
            pixels = rest;
        }
        shares
    }
}

/// Writes Bᵀ d B of the patches under all tiles of `rows`, for some `channels` of `source`: planes of `[tile,
/// channels]`, `stride` from one to the next. With `reduced`, only the planes that matter to a doubled input or to the
/// gradient of one.
pub(super) struct TransformInput<'t, T> {
    pub(super) grid: &'t Grid,
    pub(super) source: &'t Source<'t, T>,
    pub(super) channels: Range<usize>,
    pub(super) reduced: bool,
    pub(super) rows: Range<usize>,
    pub(super) to: &'t mut [T],
    pub(super) stride: usize,
}

impl<T: Element> WithSimd for TransformInput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let TransformInput { grid, source, channels, reduced, rows, to, stride } = self;
        let zeros = [T::zero(); BLOCK];
        let zeros = &zeros[..channels.len()];
        let transform = Transform::<T, S>::new(simd);
        for (index, tile) in grid.each(rows).enumerate() {
            let at = index * channels.len();
            if source.doubled {
                let (size, corner) = ([grid.height / 2, grid.width / 2], [tile.y / 2, tile.column / 2]);
                let pixels = patch::<T, 3>(source, size, &tile, corner, &channels, zeros);
                for first in firsts::<T, S>(channels.len()) {
                    let transformed = transform.doubled_input(
                        #[inline(always)]
                        |i, j| load::<T, S>(pixels[i][j], first),
                    );
                    for plane in 0..9 {
                        store::<T, S>(to, plane * stride + at + first, transformed[plane / 3][plane % 3]);
                    }
                }
            } else {
                let (size, corner) = ([grid.height, grid.width], [tile.y, tile.column]);
                let pixels = patch::<T, 4>(source, size, &tile, corner, &channels, zeros);
                for first in firsts::<T, S>(channels.len()) {
                    let transformed = transform.input(
                        #[inline(always)]
                        |i, j| load::<T, S>(pixels[i][j], first),
                    );
                    store_planes::<T, S>(to, stride, at + first, &transformed, reduced);
                }
            }
        }
    }
}

/// The pixels of the `N`×`N` patch that begins one up and one left of `corner`; zeros outside the image.
#[inline(always)]
fn patch<'a, T, const N: usize>(
    source: &Source<'a, T>,
    [height, width]: [usize; 2],
    tile: &Tile,
    corner: [usize; 2],
    channels: &Range<usize>,
    zeros: &'a [T],
) -> [[&'a [T]; N]; N] {
    let mut pixels = [[zeros; N]; N];
    for i in 0..N {
        for j in 0..N {
            let (y, x) = ((corner[0] + i).wrapping_sub(1), (corner[1] + j).wrapping_sub(1));
            if y < height && x < width {
                let pixel = ((tile.image * height + y) * width + x) * source.channels;
                pixels[i][j] = &source.elements[pixel + channels.start..pixel + channels.end];
            }
        }
    }
    pixels
}
