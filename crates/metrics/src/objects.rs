//! The objects of one class: connected components of its pixels (8 neighbours), and what is measured on them.

use serde::{Deserialize, Serialize};

/// An object. Lengths are in pixels of the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Pixels.
    pub area: u64,
    /// Centre of mass: column and row.
    pub centroid: [f64; 2],
    /// Diameter of the circle of the same area.
    pub equivalent_diameter: f64,
    /// Longer by shorter axis of the ellipse with the same second moments (as scikit-image); at least 1.
    pub aspect_ratio: f64,
    /// Distance from its centroid to that of the nearest other object; `None` if it is the only one.
    pub nearest: Option<f64>,
    /// Whether it touches the edge of the image, so that part of it may be missing.
    pub touches_edge: bool,
}
