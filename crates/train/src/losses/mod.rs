//! Losses of segmentation, each with its softmax and its own gradient.

mod class_weighting;
mod class_weights;
mod cross_entropy;
mod dice;
mod element;
mod focal;
mod loss_gradient;
mod loss_spec;
mod lovasz;
mod nasa_dice_bce;
mod overlap;
mod pixels;
#[cfg(test)]
mod testing;
mod tversky;
mod weighted_cross_entropy;

pub use class_weighting::{ClassWeighting, Frequency};
pub use cross_entropy::cross_entropy;
pub use dice::dice;
pub use focal::focal;
pub use loss_gradient::LossGradient;
pub use loss_spec::LossSpec;
pub use lovasz::lovasz_softmax;
pub use nasa_dice_bce::nasa_dice_bce;
pub use tversky::{Tversky, tversky};
pub use weighted_cross_entropy::weighted_cross_entropy;
