//! Two-dimensional convolution (cross-correlation, as PyTorch's `Conv2d` without groups).

mod algorithm;
mod backward;
mod epilogue;
mod forward;
mod geometry;
mod gpu;
mod gradients;
mod on_tape;
mod options;
mod source;
mod tapwise;
#[cfg(test)]
mod tests;
mod unfolded;
mod winograd;

pub use backward::backward;
pub use forward::forward;
pub use gradients::{Conv2dGradients, Wanted};
pub use options::{After, Conv2d};
pub use source::Joined;
