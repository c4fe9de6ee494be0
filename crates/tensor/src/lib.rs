//! Networks on a small tape of fused operations over candle tensors, generic in float32 and float64.
//!
//! Activations are `[batch, height, width, channels]` throughout; parameters carry PyTorch's names. candle stores
//! the tensors; its own convolutions, pooling, upsampling, batch norm and ReLU stay out of training, because their
//! gradients are wrong or slow.

mod count;
pub mod device;
mod footprint;
mod images;
pub mod init;
pub mod moving_average;
pub mod ops;
mod out_of_memory;
pub mod parameters;
pub mod precision;
mod saved;
pub mod tape;
#[doc(hidden)]
pub mod testing;

pub use count::Footprint;
pub use device::OpenDevice;
pub use footprint::{convolutions, footprint, prediction_footprint};
pub use images::{Feeder, Images, Pixels, Room, feeder};
pub use matssl_base::device_name::DeviceName;
pub use parameters::{Gradients, Parameter, Parameters, Role};
pub use precision::Precision;
pub use tape::{Mode, Tape, Value};
