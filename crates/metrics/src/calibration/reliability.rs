//! Reliability diagrams.

use serde::{Deserialize, Serialize};

/// Confidence against accuracy, in bins of equal width. The confidence of a pixel is the probability of its predicted class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Pixels by bin.
    pub pixels: Vec<u64>,
    /// Mean probability of the predicted class by bin; 0 for an empty bin.
    pub confidence: Vec<f64>,
    /// Fraction of the pixels that are right by bin; 0 for an empty bin.
    pub accuracy: Vec<f64>,
}

impl Reliability {
    /// Number of bins.
    pub const BINS: usize = 15;

    /// The expected calibration error: mean over the pixels of the distance between accuracy and mean confidence of their bin
    /// (Guo et al. 2017, equation 3). 0 without pixels.
    pub fn expected_error(&self) -> f64 {
        let all = self.pixels.iter().sum::<u64>().max(1) as f64;
        let bins = self.pixels.iter().zip(&self.confidence).zip(&self.accuracy);
        bins.map(|((&pixels, confidence), accuracy)| pixels as f64 * (accuracy - confidence).abs()).sum::<f64>() / all
    }
}

/// Sums by bin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bins([Bin; Reliability::BINS]);

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    pixels: u64,
    right: u64,
    confidence: f64,
}

impl Bins {
    /// Adds a pixel. Bin `i` takes confidences from `i / BINS` to below `(i + 1) / BINS`, the last one also 1.
    pub(super) fn add(&mut self, confidence: f64, is_right: bool) {
        let bin = (confidence * Reliability::BINS as f64) as usize;
        let bin = &mut self.0[bin.min(Reliability::BINS - 1)];
        bin.pixels += 1;
        bin.right += u64::from(is_right);
        bin.confidence += confidence;
    }

    pub(super) fn merge(&mut self, other: &Bins) {
        for (bin, more) in self.0.iter_mut().zip(&other.0) {
            bin.pixels += more.pixels;
            bin.right += more.right;
            bin.confidence += more.confidence;
        }
    }

    pub(super) fn reliability(&self) -> Reliability {
        let mean = |sum: f64, bin: &Bin| if bin.pixels == 0 { 0.0 } else { sum / bin.pixels as f64 };
        Reliability {
            pixels: self.0.iter().map(|bin| bin.pixels).collect(),
            confidence: self.0.iter().map(|bin| mean(bin.confidence, bin)).collect(),
            accuracy: self.0.iter().map(|bin| mean(bin.right as f64, bin)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_and_the_expected_error_are_right_by_hand() {
        let mut bins = Bins::default();
        // Bin 7 is 7/15 = 0.4667 to 0.5333, bin 14 is 0.9333 to 1.
        for (confidence, is_right) in [(0.5, true), (0.5, false), (7.0 / 15.0 + 1e-9, false), (1.0, true), (0.95, true)]
        {
            bins.add(confidence, is_right);
        }
        let found = bins.reliability();
        assert_eq!((found.pixels[7], found.pixels[14], found.pixels.iter().sum::<u64>()), (3, 2, 5));
        assert!((found.accuracy[7] - 1.0 / 3.0).abs() < 1e-15 && found.accuracy[14] == 1.0);
        assert!((found.confidence[14] - 0.975).abs() < 1e-15 && found.confidence[0] == 0.0);
        let first = (1.0f64 / 3.0 - (1.0 + 7.0 / 15.0) / 3.0).abs();
        assert!((found.expected_error() - (3.0 * first + 2.0 * 0.025) / 5.0).abs() < 1e-9);
        assert_eq!(Bins::default().reliability().expected_error(), 0.0);
    }
}
