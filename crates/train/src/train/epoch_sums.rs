//! Sums over the steps of an epoch.

/// Sums over the steps of the current epoch so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct EpochSums {
    /// Steps taken.
    pub(super) steps: u64,
    /// Of the losses.
    pub(super) losses: f64,
    /// Of the norms of the gradients, before clipping, update by update.
    pub(super) norms: f64,
    /// Of each of the task's measures.
    pub(super) measures: Vec<f64>,
}
