//! Antialiased bilinear resampling, with PIL's filter (`Image.resize(…, BILINEAR)`, libImaging/Resample.c) in f32, as
//! torchvision's `resized_crop(…, antialias=True)` of float tensors.

use super::planes::at_least;
use super::{Scratch, vectorized};

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

/// For each output pixel: the first input pixel and the weights of it and the next ones.
#[derive(Default)]
pub(super) struct Filter {
    first: Vec<usize>,
    /// `taps` weights for each output pixel, all of inputs that there are.
    weights: Vec<f32>,
    taps: usize,
}

impl Filter {
    /// Makes it the triangle filter from `from` pixels to `to`; `turned`, the output comes the other way round.
    fn triangle(&mut self, from: usize, to: usize, turned: bool) {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let centre = |i: usize| (i as f64 + 0.5) * scale;
        let range = |i: usize| {
            let low = (centre(i) - support + 0.5).max(0.0) as usize;
            (low, ((centre(i) + support + 0.5) as usize).min(from))
        };
        let at = |place: usize| if turned { to - 1 - place } else { place };
        self.taps = (0..to).map(|i| range(i).1 - range(i).0).max().unwrap_or(1);
        self.first.clear();
        self.weights.clear();
        for i in (0..to).map(at) {
            let (low, high) = range(i);
            let weight = |x: usize| (1.0 - ((x as f64 + 0.5 - centre(i)) / support).abs()).max(0.0);
            let sum: f64 = (low..high).map(weight).sum();
            let first = low.min(from - self.taps);
            self.first.push(first);
            let taps = first..first + self.taps;
            self.weights.extend(taps.map(|x| if (low..high).contains(&x) { (weight(x) / sum) as f32 } else { 0.0 }));
        }
    }

    /// One row; the number of taps is known to the compiler where it is small.
    #[inline(always)]
    fn across(&self, row: &[f32], out: &mut [f32]) {
        match self.taps {
            1 => self.across_by::<1>(row, out),
            2 => self.across_by::<2>(row, out),
            3 => self.across_by::<3>(row, out),
            4 => self.across_by::<4>(row, out),
            5 => self.across_by::<5>(row, out),
            taps => {
                let pixels = out.iter_mut().zip(&self.first).zip(self.weights.chunks_exact(taps));
                for ((out, &first), weights) in pixels {
                    *out = row[first..].iter().zip(weights).fold(0.0, |sum, (value, weight)| sum + weight * value);
                }
            }
        }
    }

    #[inline(always)]
    fn across_by<const TAPS: usize>(&self, row: &[f32], out: &mut [f32]) {
        let pixels = out.iter_mut().zip(&self.first).zip(self.weights.as_chunks::<TAPS>().0);
        for ((out, &first), weights) in pixels {
            let source = &row[first..first + TAPS];
            *out = (0..TAPS).fold(0.0, |sum, tap| sum + weights[tap] * source[tap]);
        }
    }

    /// All columns; `rows` and `out` have `width` of them.
    #[inline(always)]
    fn down(&self, rows: &[f32], width: usize, out: &mut [f32]) {
        let lines = out.chunks_exact_mut(width).zip(&self.first).zip(self.weights.chunks_exact(self.taps));
        for ((out, &first), weights) in lines {
            let mut sources = rows[first * width..].chunks_exact(width).zip(weights);
            // By two, because most views enlarge, and each output row then has two input rows.
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

impl Scratch {
    /// Resamples the part `window` of u8 `[_, width, channels]` to `to` = (width, height), turned over left-right
    /// (`flip[0]`) and up-down (`flip[1]`), into `self.planes`.
    pub(super) fn resample(
        &mut self,
        pixels: &[u8],
        (width, channels): (usize, usize),
        window: Window,
        to: (usize, usize),
        flip: [bool; 2],
    ) {
        let Scratch { planes, rows, line, across, down, .. } = self;
        across.triangle(window.width, to.0, flip[0]);
        down.triangle(window.height, to.1, flip[1]);
        planes.reshape(channels, to.1, to.0);
        let (rows, line) = (at_least(rows, window.height * to.0), at_least(line, window.width));
        let start = (window.top * width + window.left) * channels;
        for (channel, plane) in planes.each_mut().enumerate() {
            vectorized(
                #[inline(always)]
                || {
                    let sources = pixels[start..].chunks(width * channels);
                    for (row, source) in rows.chunks_exact_mut(to.0).zip(sources) {
                        let source = &source[..window.width * channels];
                        if channels == 1 {
                            line.iter_mut().zip(source).for_each(|(value, &pixel)| *value = f32::from(pixel));
                        } else {
                            let pixels = source.as_chunks::<3>().0;
                            line.iter_mut().zip(pixels).for_each(|(value, rgb)| *value = f32::from(rgb[channel]));
                        }
                        across.across(line, row);
                    }
                    down.down(rows, to.0, plane);
                },
            );
        }
    }
}

/// Resamples the part `window` of an image `[_, width, channels]`, of 1 or 3 channels, to `to` = (width, height), none of
/// them 0; values from 0 to 255, not rounded, `[to.1, to.0, channels]`. Nothing outside the window has an influence.
pub fn resample(pixels: &[u8], width: usize, channels: usize, window: Window, to: (usize, usize)) -> Vec<f32> {
    let mut scratch = Scratch::default();
    scratch.resample(pixels, (width, channels), window, to, [false; 2]);
    match scratch.planes.rgb() {
        None => scratch.planes.values().to_vec(),
        Some([red, green, blue]) => red.iter().zip(green).zip(blue).flat_map(|((&r, &g), &b)| [r, g, b]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn whole(width: usize, height: usize) -> Window {
        Window { left: 0, top: 0, width, height }
    }

    /// By hand from the triangle filter: halving weighs 1/4 of a neighbour's pixel, renormalised at the edge.
    #[test]
    fn resamples_as_pil_does() {
        let row = [0, 80, 160, 240];
        let half = resample(&row, 4, 1, whole(4, 1), (2, 1));
        let expected = [(0.75 * 80.0 + 0.25 * 160.0) / 1.75, (0.25 * 80.0 + 0.75 * 160.0 + 0.75 * 240.0) / 1.75];
        for (found, expected) in half.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{half:?}");
        }
        // Twice as large: centres at 1/4 and 3/4 of a pixel.
        let twice = resample(&[0, 100], 2, 1, whole(2, 1), (4, 1));
        for (found, expected) in twice.iter().zip([0.0, 25.0, 75.0, 100.0]) {
            assert!((found - expected).abs() < 1e-3, "{twice:?}");
        }
    }

    #[test]
    fn the_same_size_is_the_same_image_and_a_window_hides_the_rest() {
        let pixels: Vec<u8> = (0..2 * 3 * 3).map(|v| v * 7).collect();
        let same = resample(&pixels, 3, 3, whole(3, 2), (3, 2));
        assert_eq!(same, pixels.iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
        let window = Window { left: 1, top: 0, width: 1, height: 2 };
        let mut changed = pixels.clone();
        for pixel in [0, 2, 3, 5] {
            changed[pixel * 3..pixel * 3 + 3].fill(255);
        }
        assert_eq!(resample(&pixels, 3, 3, window, (5, 4)), resample(&changed, 3, 3, window, (5, 4)));
    }
}
