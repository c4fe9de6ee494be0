//! Losses of segmentation, each with its softmax and its own gradient.

mod cross_entropy;
mod dice;
mod element;
mod loss_gradient;
mod pixels;
#[cfg(test)]
mod testing;

pub use cross_entropy::cross_entropy;
pub use dice::dice;
pub use loss_gradient::LossGradient;
