//! Experiment files, typed and checked, and the cache that keeps what stages leave, by the content of all that it depends on.
//! No tensors, no images.

pub mod cache;
pub mod events;
pub mod exec;
pub mod experiment;
mod key;
pub mod plan;
pub mod stage;
