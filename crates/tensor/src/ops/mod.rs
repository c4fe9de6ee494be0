//! The operations, one a file: `forward` and `backward` as free functions on tensors, and a method on
//! [`Tape`](super::Tape) that joins them. Each looks at the tensor's device itself: the CPU's side is in the same file,
//! the GPU's there or beside it, on what [`gpu`] offers.
//!
//! Work is cut into pieces by the problem's size alone and sums are taken in a fixed order, so results are the same
//! bits for any number of threads.

pub mod batch_norm;
pub mod concat;
pub mod conv2d;
pub mod global_average_pool;
// Without `cuda` and outside of tests there is no GPU, but what speaks to one is compiled and linted all the same.
#[cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]
pub mod gpu;
pub(crate) mod host;
pub mod in_place;
pub mod linear;
mod matrix;
pub mod max_pool;
// As `gpu`, which alone it is for.
#[cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]
pub(crate) mod normalize;
mod panels;
pub mod relu;
mod rows;
pub(crate) mod sum;
mod transpose;
pub mod upsample_bilinear;
pub mod upsample_nearest;
pub(crate) mod vector;

pub use conv2d::Conv2d;
pub use max_pool::MaxPool;
