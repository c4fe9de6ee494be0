//! How well probabilities agree with frequencies: temperature scaling and the expected calibration error (Guo et al. 2017, *On
//! Calibration of Modern Neural Networks*).

mod fitted;
mod meter;
mod reliability;
mod sample;
mod tempering;

pub use fitted::Calibration;
pub use meter::CalibrationMeter;
pub use reliability::Reliability;
pub use sample::CalibrationSample;
pub use tempering::temper;
