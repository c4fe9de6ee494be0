//! Measures how well probabilities agree with frequencies.

use super::Calibration;
use super::reliability::Bins;
use super::tempering::{logarithm, predicted};
use rayon::prelude::*;

/// Pixels whose sums are taken together: sums have a fixed order, so the number of threads changes no bit.
const CHUNK: usize = 1 << 12;

/// Measures the calibration of probabilities at a given temperature, image by image, over all pixels with a known class.
#[derive(Clone, Debug)]
pub struct CalibrationMeter {
    classes: usize,
    ignore: Option<u8>,
    temperature: f64,
    sums: Sums,
}

/// Without and with the temperature.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    pixels: u64,
    loss: [f64; 2],
    bins: [Bins; 2],
}

impl CalibrationMeter {
    /// Nothing measured yet, for `classes` classes. Pixels whose label is `ignore` are left out.
    pub fn new(classes: usize, ignore: Option<u8>, temperature: f64) -> Self {
        CalibrationMeter { classes, ignore, temperature, sums: Sums::default() }
    }

    /// Adds the pixels of an image: probabilities `[pixels, classes]` and true labels `[pixels]`. Labels that are no class are left out.
    pub fn add(&mut self, probabilities: &[f32], labels: &[u8]) {
        let chunks = probabilities.par_chunks(CHUNK * self.classes.max(1)).zip(labels.par_chunks(CHUNK));
        let sums: Vec<Sums> = chunks.map(|(probabilities, labels)| self.sums(probabilities, labels)).collect();
        for more in &sums {
            self.sums.pixels += more.pixels;
            for at in 0..2 {
                self.sums.loss[at] += more.loss[at];
                self.sums.bins[at].merge(&more.bins[at]);
            }
        }
    }

    fn sums(&self, probabilities: &[f32], labels: &[u8]) -> Sums {
        let mut sums = Sums::default();
        let mut logarithms = vec![0.0; self.classes];
        for (pixel, &label) in probabilities.chunks_exact(self.classes.max(1)).zip(labels) {
            let truth = usize::from(label);
            if Some(label) == self.ignore || truth >= self.classes {
                continue;
            }
            logarithms.iter_mut().zip(pixel).for_each(|(logarithm_of, &p)| *logarithm_of = logarithm(p));
            let class = predicted(pixel);
            sums.pixels += 1;
            for (at, temperature) in [1.0, self.temperature].into_iter().enumerate() {
                let most = logarithms[class];
                let sum: f64 = logarithms.iter().map(|l| ((l - most) / temperature).exp()).sum();
                sums.loss[at] += sum.ln() - (logarithms[truth] - most) / temperature;
                // The label is that of the model: a temperature changes none.
                sums.bins[at].add(1.0 / sum, class == truth);
            }
        }
        sums
    }

    /// The measures; `None` without a pixel.
    pub fn finish(self) -> Option<Calibration> {
        let Sums { pixels, loss, bins } = self.sums;
        let [before, after] = bins.map(|bins| bins.reliability());
        (pixels > 0).then(|| Calibration {
            temperature: self.temperature,
            pixels,
            log_loss: loss.map(|loss| loss / pixels as f64),
            expected_error: [before.expected_error(), after.expected_error()],
            before,
            after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_right_by_hand_and_finite_for_probability_zero() {
        let mut meter = CalibrationMeter::new(2, Some(255), 2.0);
        meter.add(&[0.8, 0.2, 0.1, 0.9, 0.5, 0.5], &[0, 0, 255]);
        let found = meter.clone().finish().unwrap();
        assert_eq!(found.pixels, 2);
        assert!((found.log_loss[0] - -(0.8f64.ln() + 0.1f64.ln()) / 2.0).abs() < 1e-7);
        // Odds 4 and 9 become 2 and 3.
        assert!((found.log_loss[1] - -((2.0f64 / 3.0).ln() + 0.25f64.ln()) / 2.0).abs() < 1e-7);
        // 0.8 is right in bin 12 of its own, 0.9 is wrong in bin 13.
        assert!((found.expected_error[0] - (0.2 + 0.9) / 2.0).abs() < 1e-7);
        assert!((found.expected_error[1] - (1.0 / 3.0 + 0.75) / 2.0).abs() < 1e-7);
        meter.add(&[0.0, 1.0], &[0]);
        let found = meter.finish().unwrap();
        assert!(found.log_loss.iter().all(|loss| loss.is_finite() && *loss > 14.0), "{:?}", found.log_loss);
        assert_eq!(CalibrationMeter::new(2, None, 1.0).finish(), None);
    }
}
