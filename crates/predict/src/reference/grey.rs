//! Statistics of the grey levels of an image.

use serde::{Deserialize, Serialize};

/// Statistics of one channel of an image, in grey levels of 0 to 255. RGB images are described by their grey level (ITU-R BT.601).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GreyStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub contrast: f64,
    /// The level that 1 % of the pixels do not exceed.
    pub dark: f64,
    /// The level that 99 % of the pixels do not exceed.
    pub bright: f64,
    /// Standard deviation of the noise, estimated from second differences in both directions (Immerkær 1996, *Fast Noise Variance
    /// Estimation*). Fine texture counts as noise. 0 for an image of fewer than 3 pixels across or down.
    pub noise: f64,
}

/// One of the statistics.
pub(super) struct Measure {
    /// Its name in messages.
    pub(super) name: &'static str,
    pub(super) of: fn(&GreyStatistics) -> f64,
    /// Whether values are compared by their ratio, not by their difference.
    pub(super) by_ratio: bool,
    /// Its largest possible value. The smallest is 0.
    pub(super) most: f64,
}

/// The name of the noise, which is the one statistic that depends strongly on the size of a pixel.
pub(super) const NOISE: &str = "noise (standard deviation in grey levels)";

/// All statistics.
pub(super) const MEASURES: [Measure; 5] = [
    Measure { name: "mean grey level", of: |grey| grey.mean, by_ratio: false, most: 255.0 },
    Measure {
        name: "contrast (standard deviation of the grey levels)",
        of: |grey| grey.contrast,
        by_ratio: true,
        most: 127.5,
    },
    Measure { name: "grey level of the darkest 1 %", of: |grey| grey.dark, by_ratio: false, most: 255.0 },
    Measure { name: "grey level of the brightest 1 %", of: |grey| grey.bright, by_ratio: false, most: 255.0 },
    Measure { name: NOISE, of: |grey| grey.noise, by_ratio: true, most: f64::INFINITY },
];
