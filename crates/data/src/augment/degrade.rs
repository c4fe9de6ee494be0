//! Changes of an image as another microscope or detector would make them: gamma, noise, low resolution, and parts that are hidden.

use super::planes::{Planes, WHITE};
use matssl_base::random::Stream;

impl Planes {
    /// `255 (v / 255)^gamma` of every value, as torchvision's `adjust_gamma`.
    pub(super) fn gamma(&mut self, gamma: f32) {
        self.values_mut().iter_mut().for_each(|value| *value = WHITE * (*value / WHITE).powf(gamma));
    }

    /// Adds independent normal noise with the standard deviation `sigma` in grey levels.
    pub(super) fn noise(&mut self, sigma: f64, stream: &mut Stream) {
        for value in self.values_mut() {
            *value = (*value + (sigma * stream.normal()) as f32).clamp(0.0, WHITE);
        }
    }

    /// What is left when every `step` pixels (at least 1) of each axis one is kept, and the rest interpolated between them.
    pub(super) fn low_resolution(&mut self, step: f32) {
        let (width, height) = (self.width(), self.height());
        let (columns, rows) = (samples(width, step), samples(height, step));
        for plane in self.each_mut() {
            let source = plane.to_vec();
            for (y, line) in plane.chunks_exact_mut(width).enumerate() {
                let (upper, lower, down) = rows[y];
                let (upper, lower) = (&source[upper * width..][..width], &source[lower * width..][..width]);
                for (value, &(left, right, across)) in line.iter_mut().zip(&columns) {
                    let mix = |line: &[f32]| line[left] + across * (line[right] - line[left]);
                    let (top, bottom) = (mix(upper), mix(lower));
                    *value = top + down * (bottom - top);
                }
            }
        }
    }

    /// Sets the rectangle of `size` = (width, height) with its first pixel at `at` = (column, row) to each channel's mean.
    pub(super) fn hide(&mut self, at: (usize, usize), size: (usize, usize)) {
        let width = self.width();
        for plane in self.each_mut() {
            let mean = plane.iter().map(|value| f64::from(*value)).sum::<f64>() / plane.len().max(1) as f64;
            for line in plane.chunks_exact_mut(width).skip(at.1).take(size.1) {
                line[at.0..at.0 + size.0].fill(mean as f32);
            }
        }
    }
}

/// For each of `length` pixels the kept pixels before and after it, and how far it is from the first to the second.
fn samples(length: usize, step: f32) -> Vec<(usize, usize, f32)> {
    let kept = |index: f32| ((index * step).round() as usize).min(length - 1);
    let of = |i: usize| {
        let mut index = (i as f32 / step).floor();
        // Rounding can put a kept pixel behind the one that it is for.
        while index > 0.0 && kept(index) > i {
            index -= 1.0;
        }
        let (first, second) = (kept(index), kept(index + 1.0));
        let share = if second > first { (i - first) as f32 / (second - first) as f32 } else { 0.0 };
        (first, second.max(first), share.min(1.0))
    };
    (0..length).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes(values: &[f32], width: usize) -> Planes {
        let mut planes = Planes::default();
        planes.reshape(1, values.len() / width, width);
        planes.values_mut().copy_from_slice(values);
        planes
    }

    #[test]
    fn gamma_keeps_black_and_white() {
        let mut image = planes(&[0.0, 63.75, 255.0], 3);
        image.gamma(0.5);
        let found = image.values();
        assert!((found[1] - 127.5).abs() < 1e-4 && found[0] == 0.0 && found[2] == 255.0, "{found:?}");
    }

    #[test]
    fn noise_has_its_deviation_and_no_mean() {
        let mut image = planes(&[128.0; 10_000], 100);
        image.noise(5.0, &mut Stream::new(1, "noise", 0, 0));
        let (mean, deviation) = {
            let values = image.values();
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 1e4;
            (mean, (values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 1e4).sqrt())
        };
        assert!((mean - 128.0).abs() < 0.2 && (deviation - 5.0).abs() < 0.15, "{mean} {deviation}");
    }

    #[test]
    fn low_resolution_keeps_straight_lines_and_every_second_pixel() {
        let line: Vec<f32> = (0..9).map(|i| i as f32).collect();
        let mut image = planes(&line, 9);
        image.low_resolution(2.0);
        assert_eq!(image.values(), line);
        let mut image = planes(&[0.0, 9.0, 4.0, 9.0, 8.0], 5);
        image.low_resolution(2.0);
        assert_eq!(image.values(), [0.0, 2.0, 4.0, 6.0, 8.0]);
        let mut image = planes(&[7.0, 9.0, 4.0], 3);
        image.low_resolution(1.0);
        assert_eq!(image.values(), [7.0, 9.0, 4.0]);
        for step in [1.3, 1.9, 3.7] {
            let found = samples(23, step);
            assert!(
                found.iter().enumerate().all(|(i, &(a, b, share))| a <= i && b < 23 && (0.0..=1.0).contains(&share))
            );
        }
    }

    #[test]
    fn a_hidden_part_has_the_mean() {
        let mut image = planes(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0], 3);
        image.hide((1, 0), (2, 1));
        assert_eq!(image.values(), [1.0, 4.0, 4.0, 4.0, 5.0, 9.0]);
    }
}
