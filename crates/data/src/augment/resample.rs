//! Antialiased bilinear resampling, with PIL's filter (`Image.resize(…, BILINEAR)`, libImaging/Resample.c) in f32, as
//! torchvision's `resized_crop(…, antialias=True)` of float tensors.

use super::planes::{Buffers, Planes, at_least};
use matssl_base::machine::vectorized;

/// A rectangle of whole pixels inside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Number of rows that are resampled at once, interleaved pixel by pixel.
const LINES: usize = 8;

/// A filter along one axis: for each output pixel, the first input pixel, and the weights of it and the next ones.
#[derive(Default)]
struct Filter {
    first: Vec<usize>,
    /// `taps` weights for each output pixel, all of them of pixels inside the input.
    weights: Vec<f32>,
    taps: usize,
}

impl Filter {
    /// Becomes the triangle filter from `from` pixels to `to`; if `reversed`, the output comes in reverse order.
    fn triangle(&mut self, from: usize, to: usize, reversed: bool) {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let centre = |i: usize| (i as f64 + 0.5) * scale;
        let range = |i: usize| {
            let low = (centre(i) - support + 0.5).max(0.0) as usize;
            (low, ((centre(i) + support + 0.5) as usize).min(from))
        };
        let source = |i: usize| if reversed { to - 1 - i } else { i };
        self.taps = (0..to).map(|i| range(i).1 - range(i).0).max().unwrap_or(1);
        self.first.clear();
        self.weights.clear();
        for i in (0..to).map(source) {
            let (low, high) = range(i);
            let weight = |x: usize| (1.0 - ((x as f64 + 0.5 - centre(i)) / support).abs()).max(0.0);
            let sum: f64 = (low..high).map(weight).sum();
            let first = low.min(from - self.taps);
            self.first.push(first);
            let taps = first..first + self.taps;
            self.weights.extend(taps.map(|x| if (low..high).contains(&x) { (weight(x) / sum) as f32 } else { 0.0 }));
        }
    }

    /// Filters one channel of `LINES` interleaved rows. A small number of taps is a constant for the compiler.
    #[inline(always)]
    fn across<const CHANNELS: usize>(
        &self,
        lines: &[[[f32; LINES]; CHANNELS]],
        channel: usize,
        out: &mut [[f32; LINES]],
    ) {
        match self.taps {
            1 => self.across_by::<1, CHANNELS>(lines, channel, out),
            2 => self.across_by::<2, CHANNELS>(lines, channel, out),
            3 => self.across_by::<3, CHANNELS>(lines, channel, out),
            4 => self.across_by::<4, CHANNELS>(lines, channel, out),
            5 => self.across_by::<5, CHANNELS>(lines, channel, out),
            taps => {
                let pixels = out.iter_mut().zip(&self.first).zip(self.weights.chunks_exact(taps));
                for ((out, &first), weights) in pixels {
                    *out = weighted(&lines[first..first + taps], channel, weights);
                }
            }
        }
    }

    #[inline(always)]
    fn across_by<const TAPS: usize, const CHANNELS: usize>(
        &self,
        lines: &[[[f32; LINES]; CHANNELS]],
        channel: usize,
        out: &mut [[f32; LINES]],
    ) {
        let pixels = out.iter_mut().zip(&self.first).zip(self.weights.as_chunks::<TAPS>().0);
        for ((out, &first), weights) in pixels {
            *out = weighted(&lines[first..first + TAPS], channel, weights);
        }
    }

    /// Filters all columns; `rows` and `out` have `width` of them.
    #[inline(always)]
    fn down(&self, rows: &[f32], width: usize, out: &mut [f32]) {
        let lines = out.chunks_exact_mut(width).zip(&self.first).zip(self.weights.chunks_exact(self.taps));
        for ((out, &first), weights) in lines {
            let mut sources = rows[first * width..].chunks_exact(width).zip(weights);
            // Two rows at once, because most views enlarge, and then each output row has two input rows.
            if let (Some((above, a)), Some((below, b))) = (sources.next(), sources.next()) {
                for ((out, above), below) in out.iter_mut().zip(above).zip(below) {
                    *out = a * above + b * below;
                }
            } else if let Some((only, weight)) = rows[first * width..].chunks_exact(width).zip(weights).next() {
                out.iter_mut().zip(only).for_each(|(out, value)| *out = weight * value);
            }
            for (row, weight) in sources {
                out.iter_mut().zip(row).for_each(|(out, value)| *out += weight * value);
            }
        }
    }
}

#[inline(always)]
fn weighted<const CHANNELS: usize>(
    pixels: &[[[f32; LINES]; CHANNELS]],
    channel: usize,
    weights: &[f32],
) -> [f32; LINES] {
    let mut sums = [0.0f32; LINES];
    for (pixel, weight) in pixels.iter().zip(weights) {
        sums.iter_mut().zip(&pixel[channel]).for_each(|(sum, value)| *sum += weight * value);
    }
    sums
}

/// Resamples images along both axes; keeps the filters' memory.
#[derive(Default)]
pub(super) struct Resampler {
    across: Filter,
    down: Filter,
}

impl Resampler {
    /// Resamples the part `window` of u8 `[_, width, channels]` to `to` = (width, height), flipped left-right (`flip[0]`)
    /// and up-down (`flip[1]`), into `planes`.
    pub(super) fn resample(
        &mut self,
        pixels: &[u8],
        (width, channels): (usize, usize),
        window: Window,
        to: (usize, usize),
        flip: [bool; 2],
        (planes, buffers): (&mut Planes, &mut Buffers),
    ) {
        self.across.triangle(window.width, to.0, flip[0]);
        self.down.triangle(window.height, to.1, flip[1]);
        planes.reshape(channels, to.1, to.0);
        let planes = planes.values_mut();
        match channels {
            1 => self.resample_by::<1>(pixels, width, window, (planes, buffers)),
            3 => self.resample_by::<3>(pixels, width, window, (planes, buffers)),
            _ => self.resample_each(pixels, (width, channels), window, (planes, buffers)),
        }
    }

    /// One channel after the other, each as a grey image of the window.
    fn resample_each(
        &self,
        pixels: &[u8],
        (width, channels): (usize, usize),
        window: Window,
        (planes, buffers): (&mut [f32], &mut Buffers),
    ) {
        let mut grey = std::mem::take(&mut buffers.channel);
        grey.resize(window.width * window.height, 0);
        let inside = Window { left: 0, top: 0, ..window };
        let size = (planes.len() / channels).max(1);
        for (channel, plane) in planes.chunks_exact_mut(size).enumerate() {
            for (y, row) in grey.chunks_exact_mut(window.width).enumerate() {
                let first = (window.top + y) * width + window.left;
                let values = pixels[first * channels..][..row.len() * channels].chunks_exact(channels);
                row.iter_mut().zip(values).for_each(|(value, pixel)| *value = pixel[channel]);
            }
            self.resample_by::<1>(&grey, window.width, inside, (plane, buffers));
        }
        buffers.channel = grey;
    }

    fn resample_by<const CHANNELS: usize>(
        &self,
        pixels: &[u8],
        width: usize,
        window: Window,
        (planes, buffers): (&mut [f32], &mut Buffers),
    ) {
        let Resampler { across, down } = self;
        let (line_in, width_out) = (window.width * CHANNELS, across.first.len());
        let (plane_out, plane) = (planes.len() / CHANNELS, window.height * width_out);
        let rows = at_least(&mut buffers.rows, plane * CHANNELS);
        let line = at_least(&mut buffers.line, (line_in + width_out) * LINES);
        let (lines, mixed) = line.split_at_mut(line_in * LINES);
        let (lines, mixed) = (lines.as_chunks_mut::<LINES>().0, mixed.as_chunks_mut::<LINES>().0);
        vectorized(
            #[inline(always)]
            || {
                for block in (0..window.height).step_by(LINES) {
                    // In the last block, the last row stands in for missing ones.
                    let sources: [&[u8]; LINES] = std::array::from_fn(|line| {
                        let y = window.top + (block + line).min(window.height - 1);
                        &pixels[(y * width + window.left) * CHANNELS..][..line_in]
                    });
                    interleave(sources, lines);
                    let count = LINES.min(window.height - block);
                    for (channel, rows) in rows.chunks_exact_mut(plane).enumerate() {
                        across.across(lines.as_chunks::<CHANNELS>().0, channel, mixed);
                        separate(mixed, &mut rows[block * width_out..][..count * width_out]);
                    }
                }
                for (rows, plane) in rows.chunks_exact(plane).zip(planes.chunks_exact_mut(plane_out.max(1))) {
                    down.down(rows, width_out, plane);
                }
            },
        );
    }
}

/// Interleaves `LINES` rows of bytes as numbers; `sources` have the length of `lines`.
#[inline(always)]
fn interleave(sources: [&[u8]; LINES], lines: &mut [[f32; LINES]]) {
    let (blocks, rest) = lines.as_chunks_mut::<LINES>();
    let start = blocks.len() * LINES;
    let sources = sources.map(|source| (source.as_chunks::<LINES>().0, &source[start..]));
    for (i, block) in blocks.iter_mut().enumerate() {
        let columns = transposed(sources.map(|(blocks, _)| u64::from_le_bytes(blocks[i])));
        for (line, column) in block.iter_mut().zip(columns) {
            *line = column.to_le_bytes().map(f32::from);
        }
    }
    for (i, line) in rest.iter_mut().enumerate() {
        *line = sources.map(|(_, rest)| f32::from(rest[i]));
    }
}

/// The inverse of [`interleave`]: rows `[count, lines.len()]` from interleaved `lines`, `count` at most `LINES`.
#[inline(always)]
fn separate(lines: &[[f32; LINES]], rows: &mut [f32]) {
    let (blocks, rest) = lines.as_chunks::<LINES>();
    for (part, block) in blocks.iter().enumerate() {
        let columns: [[f32; LINES]; LINES] = std::array::from_fn(|line| block.map(|pixel| pixel[line]));
        for (row, values) in rows.chunks_exact_mut(lines.len()).zip(columns) {
            if let Some(to) = row[part * LINES..].first_chunk_mut() {
                *to = values;
            }
        }
    }
    for (line, row) in rows.chunks_exact_mut(lines.len()).enumerate() {
        row[blocks.len() * LINES..].iter_mut().zip(rest).for_each(|(value, pixel)| *value = pixel[line]);
    }
}

/// The transpose of 8 × 8 bytes (Warren, Hacker's Delight, 7-3): byte `j` of number `i` becomes byte `i` of number `j`.
#[inline(always)]
fn transposed(mut rows: [u64; LINES]) -> [u64; LINES] {
    for (step, low) in [(1, 0x00FF_00FF_00FF_00FF), (2, 0x0000_FFFF_0000_FFFF), (4, 0x0000_0000_FFFF_FFFF)] {
        for i in (0..LINES).filter(|i| i & step == 0) {
            let exchanged = (rows[i] >> (8 * step) ^ rows[i + step]) & low;
            rows[i + step] ^= exchanged;
            rows[i] ^= exchanged << (8 * step);
        }
    }
    rows
}

/// Resamples the part `window` of an image `[_, width, channels]` to `to` = (width, height), none of them 0. Returns values
/// from 0 to 255, not rounded, `[to.1, to.0, channels]`. Pixels outside the window have no influence.
pub fn resample(pixels: &[u8], width: usize, channels: usize, window: Window, to: (usize, usize)) -> Vec<f32> {
    let (mut planes, mut buffers) = (Planes::default(), Buffers::default());
    let out = (&mut planes, &mut buffers);
    Resampler::default().resample(pixels, (width, channels), window, to, [false; 2], out);
    let mut values = vec![0.0; planes.values().len()];
    for (channel, plane) in planes.each().enumerate() {
        let channel = values[channel..].iter_mut().step_by(channels);
        channel.zip(plane).for_each(|(value, &of_plane)| *value = of_plane);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn all_of(width: usize, height: usize) -> Window {
        Window { left: 0, top: 0, width, height }
    }

    /// By hand from the triangle filter: halving weighs 1/4 of a neighbour's pixel, renormalised at the edge.
    #[test]
    fn resamples_as_pil_does() {
        let row = [0, 80, 160, 240];
        let half = resample(&row, 4, 1, all_of(4, 1), (2, 1));
        let expected = [(0.75 * 80.0 + 0.25 * 160.0) / 1.75, (0.25 * 80.0 + 0.75 * 160.0 + 0.75 * 240.0) / 1.75];
        for (found, expected) in half.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{half:?}");
        }
        // Twice as large: centres at 1/4 and 3/4 of a pixel.
        let twice = resample(&[0, 100], 2, 1, all_of(2, 1), (4, 1));
        for (found, expected) in twice.iter().zip([0.0, 25.0, 75.0, 100.0]) {
            assert!((found - expected).abs() < 1e-3, "{twice:?}");
        }
    }

    #[test]
    fn each_of_several_channels_is_resampled_as_a_grey_image() {
        for channels in 1..=8 {
            let pixels: Vec<u8> = (0..23 * 17 * channels).map(|i| (i * 89 % 251) as u8).collect();
            for (window, to) in [
                (all_of(23, 17), (9, 30)),
                (Window { left: 3, top: 2, width: 11, height: 13 }, (11, 13)),
                (Window { left: 5, top: 0, width: 1, height: 16 }, (4, 3)),
            ] {
                let all = resample(&pixels, 23, channels, window, to);
                for channel in 0..channels {
                    let grey: Vec<u8> = pixels.iter().skip(channel).step_by(channels).copied().collect();
                    let alone = resample(&grey, 23, 1, window, to);
                    let of_all: Vec<f32> = all.iter().skip(channel).step_by(channels).copied().collect();
                    assert_eq!(of_all, alone, "{channel} of {channels}");
                }
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_image_and_a_window_hides_the_rest() {
        let pixels: Vec<u8> = (0..2 * 3 * 3).map(|v| v * 7).collect();
        let same = resample(&pixels, 3, 3, all_of(3, 2), (3, 2));
        assert_eq!(same, pixels.iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
        let window = Window { left: 1, top: 0, width: 1, height: 2 };
        let mut changed = pixels.clone();
        for pixel in [0, 2, 3, 5] {
            changed[pixel * 3..pixel * 3 + 3].fill(255);
        }
        assert_eq!(resample(&pixels, 3, 3, window, (5, 4)), resample(&changed, 3, 3, window, (5, 4)));
    }
}
