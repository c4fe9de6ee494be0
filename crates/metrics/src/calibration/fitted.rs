//! A temperature, and how well probabilities agree with frequencies without and with it.

use super::Reliability;
use serde::{Deserialize, Serialize};

/// How well a model's probabilities agree with frequencies on some images, before and after its temperature is applied.
///
/// In a model: fitted on its validation images, never on test images. Where these also chose the epoch, the measures after
/// the fit are slightly too good. In `metrics.json`: measured on the scored images with the model's temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The logarithms of probabilities are divided by it. More than 1 for a model that is too sure of itself; 1 where there is no
    /// calibration.
    pub temperature: f64,
    /// Number of pixels: of those it was fitted on, or of those it was measured on.
    pub pixels: u64,
    /// Mean negative log-likelihood in nats, before and after.
    pub log_loss: [f64; 2],
    /// Expected calibration error over [`Reliability::BINS`] bins, before and after.
    pub expected_error: [f64; 2],
    /// Before.
    pub before: Reliability,
    /// After.
    pub after: Reliability,
}

impl Calibration {
    /// Smallest and largest temperature of a fit. A model without errors on its validation images would get 0.
    pub const BOUNDS: [f64; 2] = [0.05, 20.0];
}
