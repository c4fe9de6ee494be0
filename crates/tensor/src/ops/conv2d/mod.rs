//! Two-dimensional convolution (cross-correlation, as PyTorch's `Conv2d`).

mod algorithm;
mod backward;
mod epilogue;
mod forward;
mod geometry;
mod gpu;
mod gradients;
mod groups;
mod on_tape;
mod options;
mod source;
mod tapwise;
#[cfg(test)]
mod tests;
mod unfolded;
mod winograd;

pub use gradients::{Conv2dGradients, Wanted};
pub use groups::{backward, forward};
pub use options::{After, Conv2d};
pub use source::Joined;
