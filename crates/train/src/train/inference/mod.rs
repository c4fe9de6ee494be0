//! Predictions of trained segmentation models for an image of any size: overlapping tiles, stitched, in bands of rows.

mod finished;
mod memory;
mod passes;
mod pipeline;
mod reader;
mod segmenter;
mod settings;
mod stitcher;
#[cfg(test)]
mod tests;

pub use finished::Finished;
pub use memory::{memory, memory_in_bands, memory_together};
pub use pipeline::{Summary, predict_rows};
pub use segmenter::{ModelConfig, Prediction, Segmenter, predict, predict_together};
pub use settings::{Network, Settings, default_batch};
