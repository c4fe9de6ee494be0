//! The objects of one class: connected components of its pixels, measured in a stream of rows.

mod meter;
mod object;
mod region;
mod summary;

pub use meter::ObjectMeter;
pub use object::Object;
pub use summary::{Distribution, ObjectSummary};
