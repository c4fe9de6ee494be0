//! 3×3 convolutions at stride 1 and padding 1 by F(2×2, 3×3): 16 products where the definition has 36, and 9 where the
//! input is an upsampled one. The tensors of a U-Net++ are read where they lie: what is joined or upsampled is never
//! written out. Images of 2×2 pixels, one tile each, have an algorithm of their own ([`two_by_two`]).
//!
//! Work is cut into rows of tiles (2×2 output pixels) and blocks of channels, both decided by the sizes alone.

// Loops over constant ranges are unrolled and keep vectors in registers; iterators over arrays of them do not always.
#![allow(clippy::needless_range_loop)]

mod applicability;
mod forward;
mod input_gradient;
mod kernel;
mod lanes;
#[cfg(test)]
mod tests;
mod tiles;
pub(super) mod two_by_two;
mod weight_gradient;

pub(super) use applicability::is_faster;
pub(super) use forward::forward;
pub(super) use input_gradient::backward_input;
pub(super) use weight_gradient::backward_weight;
