//! The operations, one a file: `forward` and `backward` as free functions on tensors, and a method on
//! [`Tape`](super::Tape) that joins them. Each looks at the tensor's device itself. The CPU side is in the same file, the GPU side
//! there or in a file `gpu.rs`, on top of [`gpu`].
//!
//! The size of the problem alone decides how work is cut into pieces, and sums have a fixed order. So results are the same bits
//! for any number of threads.

mod attention;
mod batch_norm;
mod cells;
mod concat;
pub mod conv2d;
mod drop_path;
mod gelu;
mod global_average_pool;
// Without `cuda` and outside of tests there is no GPU, but the code for one is compiled and linted all the same.
#[cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]
pub mod gpu;
pub(crate) mod host;
pub mod in_place;
mod layer_norm;
mod linear;
mod matrix;
mod max_pool;
// Only for GPUs, as `gpu`.
#[cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]
pub(crate) mod normalize;
mod pad;
mod panels;
pub mod relu;
mod resample;
mod reshape;
mod resize_bilinear;
mod rows;
mod scale;
mod scale_channels;
mod sigmoid;
pub(crate) mod sum;
mod tokens;
mod transpose;
mod upsample_bilinear;
mod upsample_nearest;
pub(crate) mod vector;

pub use attention::WindowAttention;
pub use cells::CellOrder;
pub use conv2d::Conv2d;
pub use max_pool::MaxPool;
pub use resize_bilinear::Resized;
pub use tokens::Positions;
