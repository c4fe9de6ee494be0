//! What is measured on the labels of an image.

mod measured;
mod measures;

pub use measured::{ClassObjects, Measured, Unit};
pub(crate) use measures::Measures;
