//! The range of a statistic that is usual among known images.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// With fewer known images nothing is said about an image.
pub(super) const LEAST_IMAGES: usize = 3;
/// An image like the known ones is outside of the usual range with a probability of at most 1 in 1000 (if the statistic is normally
/// distributed over the images).
const OUTSIDE: f64 = 0.001;
/// Most standard deviations: few images would allow anything.
const MOST_DEVIATIONS: f64 = 10.0;
/// The range goes on beyond all known images by this many grey levels or, for what is compared by its ratio, by this part.
const MARGIN: f64 = 2.0;
const MARGIN_RATIO: f64 = 0.1;
/// Smaller values have no ratio.
const LEAST: f64 = 0.1;

/// The range of a statistic among known images, and the range that is usual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsualRange {
    /// Smallest and largest value of the known images.
    pub known: [f64; 2],
    /// The 99.9 % prediction interval for another image, mean ± t·s·√(1 + 1/n), and all known images with a margin of 2 grey levels
    /// (10 % for contrast and noise), within what is possible.
    pub usual: [f64; 2],
}

impl UsualRange {
    /// The range by the values of known images, which are 0 to `possible`; `None` for fewer than [`LEAST_IMAGES`].
    pub(super) fn new(values: &[f64], by_ratio: bool, possible: f64) -> Option<Self> {
        if values.len() < LEAST_IMAGES {
            return None;
        }
        let scale = |value: f64| if by_ratio { value.max(LEAST).ln() } else { value };
        let back = |value: f64| if by_ratio { value.exp() } else { value };
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| scale(v)).sum::<f64>() / n;
        let deviation = (values.iter().map(|&v| (scale(v) - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let t = StudentsT::new(0.0, 1.0, n - 1.0).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - OUTSIDE / 2.0));
        let half = t.min(MOST_DEVIATIONS) * deviation * (1.0 + 1.0 / n).sqrt();
        let margin = if by_ratio { MARGIN_RATIO.ln_1p() } else { MARGIN };
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = (mean - half).min(scale(least) - margin);
        let high = (mean + half).max(scale(most) + margin);
        Some(UsualRange { known: [least, most], usual: [back(low).max(0.0), back(high).min(possible)] })
    }

    /// Whether `value` is usual.
    pub(super) fn has(&self, value: f64, by_ratio: bool) -> bool {
        let value = if by_ratio { value.max(LEAST) } else { value };
        (self.usual[0]..=self.usual[1]).contains(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_the_prediction_interval() {
        // R: qt(0.9995, 7) = 5.407883.
        let values = [98.0, 102.0, 99.0, 101.0, 100.0, 100.0, 97.0, 103.0];
        let range = UsualRange::new(&values, false, f64::INFINITY).unwrap();
        let half = 5.407_882_5 * 4f64.sqrt() * 1.125f64.sqrt();
        assert_eq!(range.known, [97.0, 103.0]);
        assert!((range.usual[0] - (100.0 - half)).abs() < 1e-4 && (range.usual[1] - (100.0 + half)).abs() < 1e-4);
        let ratios = UsualRange::new(&values.map(|v| v * v), true, f64::INFINITY).unwrap();
        assert!(ratios.usual[0] < 97.0 * 97.0 && (ratios.usual[0] * ratios.usual[1] / 1e8 - 1.0).abs() < 0.01);
    }

    #[test]
    fn equal_images_leave_a_margin_and_few_say_nothing() {
        let range = UsualRange::new(&[50.0; 4], false, f64::INFINITY).unwrap();
        assert_eq!(range.usual, [48.0, 52.0]);
        assert!(range.has(52.0, false) && !range.has(52.1, false));
        let range = UsualRange::new(&[0.0; 4], true, f64::INFINITY).unwrap();
        assert!(range.has(0.0, true) && range.has(0.105, true) && !range.has(0.12, true));
        assert_eq!(UsualRange::new(&[50.0, 60.0], false, f64::INFINITY), None);
    }

    #[test]
    fn the_range_holds_no_impossible_value() {
        let range = UsualRange::new(&[3.0, 40.0, 80.0], false, 255.0).unwrap();
        assert_eq!((range.usual[0], range.has(0.0, false)), (0.0, true));
        let range = UsualRange::new(&[180.0, 240.0, 255.0], false, 255.0).unwrap();
        assert_eq!((range.usual[1], range.has(255.0, false)), (255.0, true));
        let range = UsualRange::new(&[20.0, 60.0, 100.0], true, 127.5).unwrap();
        assert!(range.usual[0] > 0.0 && range.usual[1] == 127.5, "{range:?}");
    }

    #[test]
    fn all_known_images_are_usual() {
        let values = [10.0, 10.5, 11.0, 10.2, 10.1, 10.9, 10.8, 10.3, 10.4, 10.6, 10.7, 90.0];
        for by_ratio in [false, true] {
            let range = UsualRange::new(&values, by_ratio, f64::INFINITY).unwrap();
            assert!(values.iter().all(|&value| range.has(value, by_ratio)));
        }
    }
}
