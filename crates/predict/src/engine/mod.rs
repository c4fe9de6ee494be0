//! Predictions of one or several models for an image of any size: tiles cut from bands of rows, blended, handed out in bands
//! from top to bottom.

mod agreement;
mod band;
mod calibrated;
mod ensemble;
mod finish;
mod interpolated;
mod options;
mod predicted;
mod scaling;

pub use band::Band;
pub use ensemble::Ensemble;
pub use options::{PredictOptions, Tta};
pub use predicted::Predicted;
pub use scaling::CannotScale;
