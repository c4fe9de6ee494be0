//! Sums over the steps of an epoch.

/// Sums over the steps of the current epoch so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct EpochSums {
    /// Number of steps.
    pub(super) steps: u64,
    /// Sum of the losses.
    pub(super) losses: f64,
    /// Sum of the gradient norms before clipping, one per update.
    pub(super) norms: f64,
    /// Sum of each of the task's measures.
    pub(super) measures: Vec<f64>,
}
