//! Scores of the borders between classes.
//!
//! Both treat a pixel without a known class as if it were outside the image: it is in no mask, and the border towards it counts
//! as the border of the image does.

mod boundary_iou;
mod distance;
mod known;
mod surface_dice;

pub use boundary_iou::{BoundaryMeter, BoundaryScores};
pub use distance::BoundaryDistance;
pub use surface_dice::{SurfaceMeter, SurfaceScores, SurfaceTolerance};
