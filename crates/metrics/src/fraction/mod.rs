//! Area fractions of classes with intervals.

mod blocks;
mod estimate;

pub use blocks::BlockCounts;
pub use estimate::{ClassFraction, Estimate, fractions};
