//! The GPU side of the operations: what they ask of a device, and the kernels that all of them share.
//!
//! An operation says which kernel of `kernels.cu` runs on how many threads with which arguments, or which convolution cuDNN
//! shall compute. It does not know what carries that out: with the feature `cuda` `cuda.rs`, in tests [`pretend`], which runs the
//! same kernels, compiled by a C++ compiler, on tensors in the CPU's memory. So everything above the driver's own calls is
//! tested on machines without a GPU.

mod argument;
mod arithmetic;
mod choice;
mod concat;
mod convolution;
#[cfg(feature = "cuda")]
mod copier;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cuda")]
mod cudnn;
mod device;
#[cfg(feature = "cuda")]
pub(crate) mod driver;
mod element_type;
pub(crate) mod feeder;
mod find;
#[cfg(feature = "cuda")]
mod libraries;
mod opened;
#[doc(hidden)]
pub mod pretend;
pub mod probe;
mod refusals;
mod sums;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub use argument::Argument;
pub(crate) use argument::launch;
pub use arithmetic::set_arithmetic;
pub(crate) use concat::{join, part};
pub use convolution::{Convolution, Direction, Sizes};
pub use device::Gpu;
pub use element_type::wide_type;
pub(crate) use element_type::width;
pub use find::{find, of};
pub(crate) use find::{no_side, on_device};
pub use refusals::refusals;
pub use sums::{column_sums, strip_sums};
pub use table::{AdamStep, MomentumStep, Row, Table};
