//! The lengths of a picture.

/// The lengths of a picture in pixels, which is all that a structure must know to be drawn.
pub(super) struct Scale {
    /// Side of the picture.
    pub(super) size: usize,
    /// Typical diameter of a grain.
    pub(super) grain: f64,
}
