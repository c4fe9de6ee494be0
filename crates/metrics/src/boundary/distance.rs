//! The width of a boundary.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far from its border a pixel of a mask still belongs to its boundary: below 1 a share of the image's diagonal (0.02 in Cheng
/// et al. 2021), else a whole number of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct BoundaryDistance(f64);

impl TryFrom<f64> for BoundaryDistance {
    type Error = String;

    fn try_from(distance: f64) -> Result<Self, String> {
        /// Wider boundaries than this hold all of any mask.
        const MOST: f64 = 1e6;
        let is_share = distance > 0.0 && distance < 1.0;
        let is_count = (1.0..=MOST).contains(&distance) && distance.fract() == 0.0;
        (is_share || is_count).then_some(BoundaryDistance(distance)).ok_or_else(|| {
            format!(
                "a boundary of {distance}; expected a share of the image's diagonal above 0 and below 1, e.g. 0.02, or a whole \
                 number of pixels, e.g. 3"
            )
        })
    }
}

impl From<BoundaryDistance> for f64 {
    fn from(distance: BoundaryDistance) -> f64 {
        distance.0
    }
}

impl BoundaryDistance {
    /// The distance in an image of these sides, in pixels: at least 1. A share is rounded to the nearest even number in a tie, as
    /// Python's `round` does.
    pub fn pixels(self, width: usize, height: usize) -> usize {
        let diagonal = ((width * width + height * height) as f64).sqrt();
        let pixels = if self.0 < 1.0 { (self.0 * diagonal).round_ties_even() } else { self.0 };
        (pixels as usize).max(1)
    }

    /// The distance in words: `2 % of the diagonal`, `3 pixels`.
    pub fn words(self) -> String {
        match self.0 {
            share if share < 1.0 => format!("{} % of the diagonal", (share * 1e4).round() / 100.0),
            1.0 => "1 pixel".into(),
            pixels => format!("{pixels} pixels"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_pixels_are_told_apart_and_other_numbers_refused() {
        let of = |distance: f64| BoundaryDistance::try_from(distance);
        assert_eq!(of(0.02).unwrap().pixels(300, 400), 10);
        assert_eq!((of(0.02).unwrap().pixels(8, 4), of(3.0).unwrap().pixels(8, 4)), (1, 3));
        assert_eq!(of(0.025).unwrap().pixels(60, 80), 2, "2.5 is rounded to even");
        assert_eq!([0.02, 1.0, 3.0].map(|d| of(d).unwrap().words()), ["2 % of the diagonal", "1 pixel", "3 pixels"]);
        for bad in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY, 1e7] {
            assert!(of(bad).unwrap_err().contains("expected a share of the image's diagonal"), "{bad}");
        }
    }
}
