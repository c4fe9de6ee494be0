//! Gaussian blur, as torchvision's `gaussian_blur` with a kernel that is large enough: samples of the Gaussian whose sum is
//! 1, the image mirrored at its border. (PIL's blur, which lightly uses, is different: three box filters of about the same
//! variance, on 8-bit values.)

use super::planes::{Buffers, Planes, at_least};
use super::reflect::reflect;
use matssl_base::machine::vectorized;

/// Standard deviations on each side of the centre. Beyond lie 6·10⁻⁵ of the weights: 0.02 of 255.
const REACH: f32 = 4.0;

/// Number of pixels that are summed up at once, in registers.
const BLOCK: usize = 32;
/// Number of pairs of weights that are summed up at once.
const GROUP: usize = 8;

/// The weights of a symmetric kernel, from its end to its centre.
#[derive(Default)]
pub(super) struct Kernel {
    /// `radius + 1` weights.
    half: Vec<f32>,
}

impl Kernel {
    fn gaussian(&mut self, sigma: f32) {
        let radius = (REACH * sigma).ceil();
        self.half.clear();
        self.half.extend((0..=radius as usize).map(|i| (-0.5 * ((i as f32 - radius) / sigma).powi(2)).exp()));
        let sum: f32 = self.half.iter().sum::<f32>() * 2.0 - 1.0;
        self.half.iter_mut().for_each(|weight| *weight /= sum);
    }

    fn radius(&self) -> usize {
        self.half.len() - 1
    }

    /// The weighted sum of `source(0)`, …, `source(2 · radius)`, each at least as long as `out`.
    #[inline(always)]
    fn mix<'a>(&self, source: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
        let (radius, length) = (self.radius(), out.len());
        let centre = &source(radius)[..length];
        out.iter_mut().zip(centre).for_each(|(out, centre)| *out = self.half[radius] * centre);
        for (group, weights) in self.half[..radius].chunks(GROUP).enumerate() {
            let mut pairs = [(&[][..], &[][..]); GROUP];
            for (i, pair) in pairs.iter_mut().take(weights.len()).enumerate() {
                let i = group * GROUP + i;
                *pair = (&source(i)[..length], &source(2 * radius - i)[..length]);
            }
            let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
            let blocks_of = pairs.map(|(before, after)| (before.as_chunks::<BLOCK>(), after.as_chunks::<BLOCK>()));
            for (block, out) in blocks.iter_mut().enumerate() {
                let mut sums = *out;
                for (&weight, ((before, _), (after, _))) in weights.iter().zip(&blocks_of) {
                    let (before, after) = (&before[block], &after[block]);
                    for ((sum, before), after) in sums.iter_mut().zip(before).zip(after) {
                        *sum += weight * (before + after);
                    }
                }
                *out = sums;
            }
            for (&weight, ((_, before), (_, after))) in weights.iter().zip(&blocks_of) {
                for ((sum, before), after) in rest.iter_mut().zip(*before).zip(*after) {
                    *sum += weight * (before + after);
                }
            }
        }
    }
}

/// Blurs `planes` by `sigma` pixels (above 0).
pub(super) fn blur(planes: &mut Planes, sigma: f32, kernel: &mut Kernel, buffers: &mut Buffers) {
    kernel.gaussian(sigma);
    let radius = kernel.radius();
    let (width, height) = (planes.width(), planes.height());
    let (rows, line) = (at_least(&mut buffers.rows, width * height), at_least(&mut buffers.line, width + 2 * radius));
    for plane in planes.each_mut() {
        vectorized(
            #[inline(always)]
            || {
                for (source, out) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
                    line[radius..radius + width].copy_from_slice(source);
                    for i in 0..radius {
                        line[i] = source[reflect(radius - i, width)];
                        line[radius + width + i] = source[reflect(width + i, width)];
                    }
                    kernel.mix(|i| &line[i..], out);
                }
                for (y, out) in plane.chunks_exact_mut(width).enumerate() {
                    // Above the first row the image is mirrored.
                    let row = |i: usize| reflect((y + i).abs_diff(radius), height);
                    kernel.mix(|i| &rows[row(i) * width..], out);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blurred(values: &[f32], width: usize, sigma: f32) -> Vec<f32> {
        let mut planes = Planes::default();
        planes.reshape(1, values.len() / width, width);
        planes.values_mut().copy_from_slice(values);
        blur(&mut planes, sigma, &mut Kernel::default(), &mut Buffers::default());
        planes.values().to_vec()
    }

    #[test]
    fn a_constant_stays_and_a_point_spreads_by_its_variance() {
        for (width, height, sigma) in [(5, 4, 1.3), (1, 1, 2.0), (40, 3, 0.1), (37, 2, 0.6)] {
            let flat = blurred(&vec![9.0; width * height], width, sigma);
            assert!(flat.iter().all(|value| (value - 9.0).abs() < 1e-4), "{flat:?}");
        }
        // Widths with full blocks and a rest.
        let (width, height) = (45, 21);
        for (x, y) in [(22, 10), (31, 9), (33, 11)] {
            let mut point = vec![0.0; width * height];
            point[y * width + x] = 1000.0;
            let spread = blurred(&point, width, 1.5);
            assert!((spread.iter().sum::<f32>() - 1000.0).abs() < 0.1);
            let moment = |along: fn(usize, usize) -> usize, centre: usize| -> f64 {
                let squared = |i: usize| (along(i, 45) as f64 - centre as f64).powi(2);
                spread.iter().enumerate().map(|(i, &value)| f64::from(value) * squared(i)).sum::<f64>() / 1000.0
            };
            for found in [moment(|i, width| i % width, x), moment(|i, width| i / width, y)] {
                assert!((found - 2.25).abs() < 0.01, "{found}");
            }
        }
    }

    #[test]
    fn the_border_is_mirrored_without_being_repeated() {
        // By hand: σ so small that only the next pixels count.
        let weight = (-0.5f32 / (0.3 * 0.3)).exp();
        let found = blurred(&[0.0, 100.0, 0.0], 3, 0.3);
        let expected = 100.0 * 2.0 * weight / (1.0 + 2.0 * weight);
        assert!((found[0] - expected).abs() < 1e-3 && (found[2] - expected).abs() < 1e-3, "{found:?} {expected}");
    }
}
