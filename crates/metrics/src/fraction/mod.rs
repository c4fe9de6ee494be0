//! Area fractions of classes with intervals.

mod blocks;
mod cells;
mod correction;
mod estimate;
mod matrix;
mod simplex;
mod specimen;
mod spread;
mod uncorrectable;

pub use blocks::BlockCounts;
pub use correction::Correction;
pub use estimate::{ClassFraction, Estimate, fractions, fractions_by};
pub use specimen::{SpecimenFraction, specimen_fractions};
pub use uncorrectable::Uncorrectable;
