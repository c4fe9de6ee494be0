//! Area fractions of classes with intervals.

mod blocks;
mod estimate;
mod specimen;

pub use blocks::BlockCounts;
pub use estimate::{ClassFraction, Estimate, fractions};
pub use specimen::{SpecimenFraction, specimen_fractions};
