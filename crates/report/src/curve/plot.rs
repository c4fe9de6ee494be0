//! From data to pixels.

use crate::axis::Axis;

/// The rectangle that the data is drawn in, and its axes.
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Plot {
    /// The position of the data point (x, y) in pixels.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = self.left + self.x.share(x) * (self.right - self.left);
        (across, self.bottom - self.y.share(y).clamp(0.0, 1.0) * (self.bottom - self.top))
    }
}
