//! PyTorch's defaults.

/// Added to the variance.
pub(super) const EPSILON: f64 = 1e-5;
/// Weight of the newest batch in the running statistics.
pub(super) const MOMENTUM: f64 = 0.1;
