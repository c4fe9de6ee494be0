//! The operations, one a file: `forward` and `backward` as free functions on tensors, and a method on
//! [`Tape`](super::Tape) that joins them. Each looks at the tensor's device itself; so far all have a CPU side only.
//!
//! Work is cut into pieces by the problem's size alone and sums are taken in a fixed order, so results are the same
//! bits for any number of threads.

pub mod conv2d;
mod host;
mod matrix;
pub(crate) mod sum;
