//! What the images that a model was trained on look like, and whether another image is like them.

mod error;
mod features;
mod file;
mod flag;
mod grey;
mod range;
#[expect(clippy::module_inception, reason = "one noun a file")]
mod reference;
mod statistics;

pub use error::ReferenceError;
pub use features::FeatureDistance;
pub use flag::flag;
pub use grey::GreyStatistics;
pub use range::UsualRange;
pub use reference::{KnownImage, Reference, TrainingImage, ValidationImage, ValidationScores};
pub use statistics::ImageStatistics;
