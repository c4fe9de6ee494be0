//! What is measured on the labels of an image.

mod measured;
mod measures;
mod meters;

pub use measured::{ClassObjects, Measured, Unit};
pub(crate) use measures::Measures;
pub(crate) use meters::{ObjectSummary, SpecimenFraction, specimen_fractions};
