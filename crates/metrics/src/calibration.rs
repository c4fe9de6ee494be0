//! How well probabilities agree with frequencies: temperature scaling and the expected calibration error (Guo et al. 2017).

use serde::{Deserialize, Serialize};

/// The calibration of a model on its validation images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The logarithms of probabilities are divided by it. More than 1 for a model that is too sure of itself.
    pub temperature: f64,
    /// Number of pixels that it was fitted on.
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

/// Confidence against accuracy, in bins of equal width.
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
}
