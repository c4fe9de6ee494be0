//! Batches, made ahead of time. Their content does not depend on the number of threads.

mod chunks;
mod pairs;
mod prefetch;
mod rare_crops;
mod views;

pub use pairs::{DifferentSizes, Masks, PairBatch, pair_batch, pair_pixels};
pub use prefetch::{BATCHES_HELD, Prefetch, prefetch};
pub use rare_crops::RareCrops;
pub use views::{view_batch, view_pixels};
