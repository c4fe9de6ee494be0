//! Images and masks at another size of pixels. Pixel `i` of the result covers what lies between `i` and `i + 1` times the
//! factor in the source, so the size of a pixel is exactly the one that was asked for. The last row and column may cover up
//! to half a pixel less, or up to half a pixel may be left out.

use crate::{Mask, Micrograph};
use rayon::prelude::*;
use std::ops::Range;

/// Pixels of the source for one of the result, across and down. More than 1 makes images smaller.
pub(crate) type Factors = [f64; 2];

/// Number of pixels of the result along one side.
pub(crate) fn length(from: usize, factor: f64) -> usize {
    (from as f64 / factor).round() as usize
}

/// For each pixel of the result, the first pixel of the source and the weights of it and the next ones. They add up to 1.
#[derive(Debug)]
struct Filter {
    first: Vec<usize>,
    weights: Vec<Vec<f32>>,
}

impl Filter {
    /// Averages the area that a pixel covers if the image becomes smaller. Otherwise interpolates with the cubic of PIL and
    /// PyTorch's antialiased `bicubic` (Keys 1981, a = −1/2), with weights renormalised at the edge as there.
    fn of(from: usize, to: usize, factor: f64) -> Self {
        let (mut first, mut weights) = (Vec::with_capacity(to), Vec::with_capacity(to));
        for i in 0..to {
            let (start, end) = (i as f64 * factor, (i + 1) as f64 * factor);
            let centre = (i as f64 + 0.5) * factor;
            let is_area = factor > 1.0;
            let (low, high) = if is_area { (start, end) } else { (centre - 2.0, centre + 2.0) };
            let weight = |x: usize| {
                let x = x as f64;
                if is_area { (end.min(x + 1.0) - start.max(x)).max(0.0) } else { cubic(x + 0.5 - centre) }
            };
            let low = (low.max(0.0) as usize).min(from - 1);
            let high = (high.max(0.0).ceil() as usize).clamp(low + 1, from);
            let sum: f64 = (low..high).map(weight).sum();
            first.push(low);
            weights.push((low..high).map(|x| (weight(x) / sum) as f32).collect());
        }
        Filter { first, weights }
    }
}

/// Resamples images of one size, whole or a few rows at a time.
#[derive(Debug)]
pub(crate) struct Resampler {
    across: Filter,
    down: Filter,
}

impl Resampler {
    /// For images of the size `from`; `to` as in [`Micrograph::resample`].
    pub(crate) fn new(from: (usize, usize), factors: Factors, to: (usize, usize)) -> Self {
        Resampler { across: Filter::of(from.0, to.0, factors[0]), down: Filter::of(from.1, to.1, factors[1]) }
    }

    /// The rows of the source that the rows `rows` of the result are made of.
    pub(crate) fn sources(&self, rows: Range<usize>) -> Range<usize> {
        let of = |row: usize| self.down.first[row]..self.down.first[row] + self.down.weights[row].len();
        rows.map(of).reduce(|all, next| all.start.min(next.start)..all.end.max(next.end)).unwrap_or(0..0)
    }

    /// The rows `rows` of the result. `source` has at least [`Resampler::sources`] of them; its first row is row `top` of the
    /// whole source.
    pub(crate) fn rows(&self, source: &Micrograph, top: usize, rows: Range<usize>) -> Micrograph {
        let (channels, line) = (source.channels, source.width * source.channels);
        let (width, height) = (self.across.first.len(), rows.len());
        let mut pixels = vec![0; width * height * channels];
        let filters = self.down.first[rows.clone()].par_iter().zip(&self.down.weights[rows]);
        // Each row is computed alone, in a fixed order, so threads do not change it.
        pixels.par_chunks_exact_mut((width * channels).max(1)).zip(filters).for_each_init(
            || vec![0.0f32; line],
            |sums, (row, (&first, weights))| {
                sums.fill(0.0);
                for (source, weight) in source.pixels[(first - top) * line..].chunks_exact(line).zip(weights) {
                    sums.iter_mut().zip(source).for_each(|(sum, &value)| *sum += weight * f32::from(value));
                }
                let filters = self.across.first.iter().zip(&self.across.weights);
                for (pixel, (&first, weights)) in row.chunks_exact_mut(channels).zip(filters) {
                    for (channel, value) in pixel.iter_mut().enumerate() {
                        let values = sums[first * channels + channel..].iter().step_by(channels);
                        let sum: f32 = values.zip(weights).map(|(value, weight)| value * weight).sum();
                        // Cubic interpolation overshoots; the cast keeps 0 to 255.
                        *value = (sum + 0.5) as u8;
                    }
                }
            },
        );
        Micrograph { width, height, channels, pixels }
    }
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

impl Micrograph {
    /// At another size of pixels: area-averaged where that makes it smaller, cubic where it makes it larger.
    ///
    /// `to` (width, height) is what [`length`] gives for the image's sides; none of them is 0.
    #[must_use]
    pub(crate) fn resample(&self, factors: Factors, to: (usize, usize)) -> Self {
        let resampler = Resampler::new((self.width, self.height), factors, to);
        resampler.rows(self, 0, 0..to.1)
    }
}

impl Mask {
    /// At another size of pixels, by the nearest pixel: labels are never mixed.
    #[must_use]
    pub(crate) fn resample(&self, factors: Factors, to: (usize, usize)) -> Self {
        let nearest = |i: usize, factor: f64, from: usize| (((i as f64 + 0.5) * factor) as usize).min(from - 1);
        let columns: Vec<usize> = (0..to.0).map(|x| nearest(x, factors[0], self.width)).collect();
        let mut labels = Vec::with_capacity(to.0 * to.1);
        for y in 0..to.1 {
            let row = nearest(y, factors[1], self.height) * self.width;
            labels.extend(columns.iter().map(|&x| self.labels[row + x]));
        }
        Mask { width: to.0, height: to.1, labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grey(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Micrograph {
        let pixels = (0..width * height).map(|i| pixel(i % width, i / width)).collect();
        Micrograph { width, height, channels: 1, pixels }
    }

    #[test]
    fn smaller_is_the_mean_of_the_area() {
        let image = grey(4, 2, |x, y| [[0, 80, 160, 240], [40, 80, 0, 255]][y][x]);
        let half = image.resample([2.0, 2.0], (2, 1));
        assert_eq!(half.pixels, [50, 164], "200 / 4 and 655 / 4");
        // One and a half: the middle pixel of three is shared.
        let image = grey(3, 1, |x, _| [30, 90, 210][x]);
        assert_eq!(image.resample([1.5, 1.0], (2, 1)).pixels, [50, 170]);
        // Only one axis: pixels that were not square become so.
        assert_eq!(grey(1, 4, |_, y| [10, 20, 30, 40][y]).resample([1.0, 2.0], (1, 2)).pixels, [15, 35]);
    }

    /// From PIL: `Image.fromarray(np.float32([[0, 100, 40, 200]])).resize((8, 1), Image.BICUBIC)`.
    #[test]
    fn larger_is_cubic_as_pil_does_it() {
        let image = grey(4, 1, |x, _| [0, 100, 40, 200][x]);
        let twice = image.resample([0.5, 1.0], (8, 1));
        assert_eq!(twice.pixels, PIL);
        assert_eq!(image.resample([1.0, 1.0], (4, 1)), image);
    }

    const PIL: [u8; 8] = [0, 20, 82, 91, 43, 71, 168, 214];

    #[test]
    fn channels_are_not_mixed() {
        let pixels = vec![0, 10, 20, 100, 110, 120];
        let image = Micrograph { width: 2, height: 1, channels: 3, pixels };
        assert_eq!(image.resample([2.0, 1.0], (1, 1)).pixels, [50, 60, 70]);
    }

    proptest! {
        /// A marked block stays at the same place in image and mask, whatever the factor.
        #[test]
        fn image_and_mask_stay_together(
            (width, height) in (24usize..90, 24usize..90),
            (x, y) in (0.0..1.0f64, 0.0..1.0f64),
            across in 0.3..4.0f64,
            down in 0.3..4.0f64,
        ) {
            // The block is larger than a pixel of the result, so it cannot fall between two.
            let side = 9;
            let (x, y) = ((x * (width - side) as f64) as usize, (y * (height - side) as f64) as usize);
            let inside = |i: usize, from: usize| (from..from + side).contains(&i);
            let image = grey(width, height, |i, j| if inside(i, x) && inside(j, y) { 255 } else { 0 });
            let labels = image.pixels.iter().map(|&v| u8::from(v == 255)).collect();
            let mask = Mask { width, height, labels };
            let to = (length(width, across), length(height, down));
            let (image, mask) = (image.resample([across, down], to), mask.resample([across, down], to));
            prop_assert_eq!((image.width, image.height), (mask.width, mask.height));
            for (i, (&value, &label)) in image.pixels.iter().zip(&mask.labels).enumerate() {
                // Wherever a pixel is wholly inside or outside, both say so.
                let ([i, j], at) = ([i % to.0, i / to.0], |i: usize, factor: f64| [i as f64 * factor, (i + 1) as f64 * factor]);
                let reach = |factor: f64| if factor > 1.0 { 0.0 } else { 2.0 };
                let relation = |[start, end]: [f64; 2], from: usize, reach: f64| {
                    let (from, to) = (from as f64, (from + side) as f64);
                    if start - reach >= from && end + reach <= to { 1 } else if end + reach <= from || start - reach >= to { -1 } else { 0 }
                };
                let (a, b) = (relation(at(i, across), x, reach(across)), relation(at(j, down), y, reach(down)));
                if a == 1 && b == 1 {
                    prop_assert_eq!((value, label), (255, 1));
                } else if a == -1 || b == -1 {
                    prop_assert_eq!((value, label), (0, 0));
                }
            }
        }

        /// No weight lies outside, and grey stays grey.
        #[test]
        fn a_flat_image_stays_flat(width in 8usize..60, height in 8usize..60, value: u8, across in 0.2..5.0f64, down in 0.2..5.0f64) {
            let to = (length(width, across).max(1), length(height, down).max(1));
            let image = grey(width, height, |_, _| value).resample([across, down], to);
            prop_assert!(image.pixels.iter().all(|&v| v == value));
        }
    }
}
