//! Predictions of one or several models for an image of any size: tiles cut from bands of rows, blended, handed out in bands
//! from top to bottom.

mod band;
mod ensemble;
mod options;

pub use band::Band;
pub use ensemble::Ensemble;
pub use options::{PredictOptions, Tta};
