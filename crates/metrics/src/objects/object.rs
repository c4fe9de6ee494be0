//! What is measured on one object.

use serde::{Deserialize, Serialize};

/// An object: a connected component (8 neighbours) of the pixels of one class. Lengths are in the unit that
/// [`ObjectMeter`](super::ObjectMeter) was asked for: pixels, or the unit of the pixel size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Number of pixels, in every unit.
    pub area: u64,
    /// Centre of mass: distance from the centre of the first column, and from that of the first row.
    pub centroid: [f64; 2],
    /// Diameter of the circle of the same area.
    pub equivalent_diameter: f64,
    /// Longer by shorter axis of the ellipse with the same second moments; at least 1. A pixel counts as a square with moments of
    /// its own (1/12 of its side squared), as in MATLAB's regionprops, so that a line one pixel wide has a ratio too.
    /// scikit-image leaves this term out.
    pub aspect_ratio: f64,
    /// Distance from its centroid to that of the nearest other object; `None` if it is the only one.
    pub nearest: Option<f64>,
    /// Whether it touches the edge of the image, so that part of it may be missing.
    pub touches_edge: bool,
}
