//! Landmarks of an image, and hashes of the tiles around them.

use super::band::{Grey, Radii};
use crate::symmetry::Symmetry;
use std::f32::consts::PI;

/// Number of cells a side to which a tile is averaged before its cosine transform.
const CELLS: usize = 16;
/// Number of frequencies that are kept in each direction.
const FREQUENCIES: usize = 8;
/// Smallest number of grey values by which a landmark differs from its surroundings.
const MIN_CONTRAST: f32 = 2.0;

/// How landmarks of one size are found.
struct Level {
    /// The size of the structure.
    radii: Radii,
    /// Pixels a cell; a tile has 16 × 16 cells.
    cell: usize,
    /// Landmarks are further apart than this, in pixels.
    apart: usize,
    /// Largest number a megapixel, the strongest first. By this the landmarks of a crop are also landmarks of the image.
    per_megapixel: usize,
    /// The limit for a small image, whose share of a megapixel is smaller.
    at_least: usize,
}

/// Tiles of 48 and of 128 pixels.
const LEVELS: [Level; 2] = [
    Level { radii: (1, 4), cell: 3, apart: 8, per_megapixel: 400, at_least: 160 },
    Level { radii: (3, 12), cell: 8, apart: 20, per_megapixel: 200, at_least: 80 },
];

/// A tile of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    /// Index into [`LEVELS`].
    pub(super) level: u8,
    /// Column and row of the landmark.
    pub(super) centre: (usize, usize),
    /// Signs of the low cosine frequencies: bit `8 · v + u` for u half waves across and v down; bit 0 is not used.
    pub(super) hash: u64,
}

impl Tile {
    /// The hash that this tile has in the image after `symmetry`.
    pub(super) fn hash_after(&self, symmetry: Symmetry) -> u64 {
        let (transposed, mirror_x, mirror_y) = symmetry.parts();
        let mut hash = self.hash;
        if transposed {
            hash = (0..64)
                .filter(|bit| self.hash >> bit & 1 == 1)
                .fold(0, |hash, bit| hash | 1 << (bit % 8 * 8 + bit / 8));
        }
        // Mirroring turns the sign of odd frequencies.
        if mirror_x {
            hash ^= 0xAAAA_AAAA_AAAA_AAAA;
        }
        if mirror_y {
            hash ^= 0xFF00_FF00_FF00_FF00;
        }
        hash
    }
}

/// All tiles of an image, those of one level next to each other.
pub(super) fn tiles(image: &Grey) -> Vec<Tile> {
    let sums = Sums::of(image);
    let cosines = cosines();
    let mut tiles = Vec::new();
    for (level, settings) in LEVELS.iter().enumerate() {
        for centre in landmarks(image, settings) {
            let hash = hash(&sums, centre, settings.cell, &cosines);
            tiles.push(Tile { level: level as u8, centre, hash });
        }
    }
    tiles
}

/// The strongest extremes of the band-passed image, strongest first.
fn landmarks(image: &Grey, level: &Level) -> Vec<(usize, usize)> {
    let margin = level.cell * CELLS / 2 + 1;
    if image.width < 2 * margin || image.height < 2 * margin {
        return Vec::new();
    }
    let band = image.band(level.radii);
    let strength: Vec<f32> = band.values.iter().map(|value| value.abs()).collect();
    let highest = dilated(&strength, image.width, level.apart);
    let mut found: Vec<(f32, usize, usize)> = Vec::new();
    for y in margin..image.height - margin {
        for x in margin..image.width - margin {
            let at = y * image.width + x;
            if strength[at] >= MIN_CONTRAST && strength[at] == highest[at] {
                found.push((strength[at], x, y));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.2, a.1).cmp(&(b.2, b.1))));
    let limit = image.width * image.height * level.per_megapixel / 1_000_000;
    found.truncate(limit.max(level.at_least));
    found.into_iter().map(|(_, x, y)| (x, y)).collect()
}

/// The largest value within `radius` in both directions.
fn dilated(values: &[f32], width: usize, radius: usize) -> Vec<f32> {
    let rows: Vec<f32> = values.chunks_exact(width).flat_map(|row| sliding_maximum(row, radius)).collect();
    let height = values.len() / width;
    let mut out = vec![0.0; values.len()];
    let mut column = vec![0.0; height];
    for x in 0..width {
        for (y, value) in column.iter_mut().enumerate() {
            *value = rows[y * width + x];
        }
        for (y, value) in sliding_maximum(&column, radius).into_iter().enumerate() {
            out[y * width + x] = value;
        }
    }
    out
}

/// van Herk's algorithm: running maxima of blocks from both sides.
fn sliding_maximum(values: &[f32], radius: usize) -> Vec<f32> {
    let window = 2 * radius + 1;
    let padded: Vec<f32> = std::iter::repeat_n(0.0, radius)
        .chain(values.iter().copied())
        .chain(std::iter::repeat_n(0.0, radius))
        .collect();
    let (mut forward, mut backward) = (padded.clone(), padded.clone());
    for i in 1..padded.len() {
        if i % window != 0 {
            forward[i] = forward[i].max(forward[i - 1]);
        }
    }
    for i in (0..padded.len() - 1).rev() {
        if (i + 1) % window != 0 {
            backward[i] = backward[i].max(backward[i + 1]);
        }
    }
    (0..values.len()).map(|i| backward[i].max(forward[i + window - 1])).collect()
}

/// Sums over all pixels above and left of a pixel, from four of which the sum of any rectangle follows.
struct Sums {
    width: usize,
    values: Vec<u64>,
}

impl Sums {
    fn of(image: &Grey) -> Sums {
        let width = image.width + 1;
        let mut values = vec![0; width * (image.height + 1)];
        for y in 0..image.height {
            let mut row = 0;
            for x in 0..image.width {
                row += u64::from(image.values[y * image.width + x]);
                values[(y + 1) * width + x + 1] = values[y * width + x + 1] + row;
            }
        }
        Sums { width, values }
    }

    /// Four times the sum of a square whose edges lie on half pixels. The tile's centre is the centre of a pixel, so that
    /// mirroring does not move its cells.
    fn cell(&self, left: usize, top: usize, side: usize) -> f32 {
        let at = |x: usize, y: usize| self.values[y * self.width + x];
        let sum = |x: usize, y: usize| (at(x + side, y + side) + at(x, y) - at(x, y + side) - at(x + side, y)) as f32;
        // The sum of the four whole-pixel squares around it.
        sum(left, top) + sum(left + 1, top) + sum(left, top + 1) + sum(left + 1, top + 1)
    }
}

/// `cosines[u][i]` = cos(π (i + ½) u / 16).
fn cosines() -> [[f32; CELLS]; FREQUENCIES] {
    std::array::from_fn(|u| std::array::from_fn(|i| (PI * (i as f32 + 0.5) * u as f32 / CELLS as f32).cos()))
}

fn hash(sums: &Sums, (x, y): (usize, usize), cell: usize, cosines: &[[f32; CELLS]; FREQUENCIES]) -> u64 {
    let (left, top) = (x - cell * CELLS / 2, y - cell * CELLS / 2);
    let mut across = [[0.0f32; FREQUENCIES]; CELLS];
    for (j, across) in across.iter_mut().enumerate() {
        let row: [f32; CELLS] = std::array::from_fn(|i| sums.cell(left + i * cell, top + j * cell, cell));
        for (u, sum) in across.iter_mut().enumerate() {
            *sum = row.iter().zip(&cosines[u]).map(|(value, cosine)| value * cosine).sum();
        }
    }
    let mut hash = 0;
    for (v, down) in cosines.iter().enumerate() {
        let mut amplitudes = [0.0f32; FREQUENCIES];
        for (row, cosine) in across.iter().zip(down) {
            amplitudes.iter_mut().zip(row).for_each(|(amplitude, value)| *amplitude += value * cosine);
        }
        for (u, amplitude) in amplitudes.into_iter().enumerate() {
            if (u, v) != (0, 0) && amplitude > 0.0 {
                hash |= 1 << (8 * v + u);
            }
        }
    }
    hash
}
