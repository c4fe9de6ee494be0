//! The style of a picture: what makes two micrographs look alike, whatever they show.

use super::correlation::correlation_length;
use crate::Micrograph;
use serde::{Deserialize, Serialize};

/// Number of steps between the quantiles of [`Style::levels`].
const STEPS: usize = 32;
/// Side of the blocks in which noise is measured, in pixels.
const BLOCK: usize = 16;
/// The part of the blocks with the least noise that counts: the others have texture.
const CALM: f64 = 0.3;
/// Mean grey values of a block whose noise counts. The noise of others is cut off by black or white.
const UNCUT: std::ops::RangeInclusive<f64> = 4.0..=251.0;

/// The style of a picture, or the mean of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Style {
    /// Mean grey value, 0 to 255.
    pub mean: f64,
    /// Standard deviation of the grey values.
    pub contrast: f64,
    /// Standard deviation of the noise: of the calm 30 % of blocks of 16 × 16 pixels, by the mean absolute response of Immerkær's
    /// mask (*Fast noise variance estimation*, CVIU 1996).
    pub noise: f64,
    /// Distance in pixels at which the autocorrelation of the grey values, less their mean in a window of 97 pixels, falls to 1/e of
    /// that at one pixel.
    pub correlation_length: f64,
    /// Quantiles of the grey values in steps of 1/32, from the smallest to the largest.
    pub levels: Vec<f64>,
}

impl Style {
    /// Measures a picture; of several channels the mean.
    pub fn of(image: &Micrograph) -> Style {
        let channels = image.channels.max(1);
        let sum = |pixel: &[u8]| pixel.iter().map(|&v| f64::from(v)).sum::<f64>() / channels as f64;
        let values: Vec<f64> = image.pixels.chunks_exact(channels).map(sum).collect();
        Style::of_values(&values, image.width)
    }

    /// Measures grey values, `[height, width]`.
    pub(super) fn of_values(values: &[f64], width: usize) -> Style {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let contrast = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        Style {
            mean,
            contrast,
            noise: noise(values, width),
            correlation_length: correlation_length(values, width),
            levels: levels(values),
        }
    }

    /// The mean of `styles`; `None` of none.
    pub fn mean_of(styles: &[Style]) -> Option<Style> {
        let first = styles.first()?;
        let mean = |of: &dyn Fn(&Style) -> f64| styles.iter().map(of).sum::<f64>() / styles.len() as f64;
        Some(Style {
            mean: mean(&|style| style.mean),
            contrast: mean(&|style| style.contrast),
            noise: mean(&|style| style.noise),
            correlation_length: mean(&|style| style.correlation_length),
            levels: (0..first.levels.len()).map(|at| mean(&|style| style.levels[at])).collect(),
        })
    }

    /// How far it is from `other`: the mean difference of the quantiles in grey values, the difference in noise in grey values, and
    /// the ratio of the correlation lengths (1 or more).
    pub fn differences(&self, other: &Style) -> [f64; 3] {
        let pairs = || self.levels.iter().zip(&other.levels);
        let levels = pairs().map(|(a, b)| (a - b).abs()).sum::<f64>() / pairs().count().max(1) as f64;
        let ratio = self.correlation_length / other.correlation_length;
        [levels, (self.noise - other.noise).abs(), ratio.max(1.0 / ratio)]
    }
}

/// Quantiles of `values` in steps of 1/[`STEPS`].
fn levels(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    (0..=STEPS).map(|step| sorted.get(step * last / STEPS).copied().unwrap_or_default()).collect()
}

/// Standard deviation of the noise of `values`, as [`Style::noise`].
pub(super) fn noise(values: &[f64], width: usize) -> f64 {
    let height = values.len() / width.max(1);
    let mut blocks = Vec::new();
    for top in (0..height).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            let (bottom, right) = ((top + BLOCK).min(height), (left + BLOCK).min(width));
            let (mut sum, mut differences, mut count) = (0.0, 0.0, 0);
            for y in top.max(1)..bottom.min(height - 1) {
                for x in left.max(1)..right.min(width - 1) {
                    let at = y * width + x;
                    let row = |at: usize| values[at - 1] - 2.0 * values[at] + values[at + 1];
                    differences += (row(at - width) - 2.0 * row(at) + row(at + width)).abs();
                    sum += values[at];
                    count += 1;
                }
            }
            // Of a block at the border only if it is half as large at least.
            if count >= BLOCK * BLOCK / 2 && UNCUT.contains(&(sum / f64::from(count as u32))) {
                blocks.push(differences / f64::from(count as u32));
            }
        }
    }
    blocks.sort_unstable_by(f64::total_cmp);
    blocks.truncate((CALM * blocks.len() as f64).ceil() as usize);
    let mean = blocks.iter().sum::<f64>() / blocks.len().max(1) as f64;
    // The mask's coefficients have a sum of squares of 36, and E|x| = σ √(2/π).
    (std::f64::consts::PI / 2.0).sqrt() / 6.0 * mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_base::random::Stream;

    #[test]
    fn noise_and_levels_are_found_by_hand() {
        let mut stream = Stream::new(1, "style test", 0, 0);
        let size = 128;
        for sigma in [2.0, 9.0] {
            // A slope, which has no noise.
            let values: Vec<f64> =
                (0..size * size).map(|i| 60.0 + 0.5 * (i % size) as f64 + sigma * stream.normal()).collect();
            let style = Style::of_values(&values, size);
            assert!((style.noise / sigma - 1.0).abs() < 0.12, "{sigma}: {}", style.noise);
        }
        let values: Vec<f64> = (0..size * size).map(|i| (i % 33) as f64).collect();
        let style = Style::of_values(&values, size);
        assert!((style.mean - 16.0).abs() < 0.01 && (style.contrast - 9.52).abs() < 0.01, "{style:?}");
        assert_eq!((style.levels[0], style.levels[16], style.levels[32]), (0.0, 16.0, 32.0));
        let grey = Micrograph { width: 2, height: 1, channels: 3, pixels: vec![0, 30, 60, 90, 90, 90] };
        assert_eq!(Style::of(&grey).mean, 60.0);
    }
}
