//! A tape of fused operations for convolutional networks, over [candle](candle_core)'s tensors, on CPUs and NVIDIA GPUs.
//!
//! - Activations are `[batch, height, width, channels]` throughout. On a CPU they are float32 or float64, on a GPU also bfloat16.
//! - [`Parameters`] holds a network's weights and buffers by name. A [`Tape`] runs one forward pass over them: each operation is
//!   a method of it, with a gradient of its own. [`Tape::backward`] gives the [`Gradients`] by the parameters' names.
//! - On one kind of processor results are the same bits for any number of threads.
//! - [`footprint()`] says how much memory a training pass takes, without running it.
//!
//! candle stores the tensors. Its own convolutions, pooling, upsampling, batch norm and ReLU are not used: their gradients are
//! wrong or slow.
//!
//! # Example
//!
//! One step of gradient descent on the mean squared error of a small network:
//!
//! ```
//! use candle_core::{DType, Device, Result, Tensor};
//! use matssl_base::random::Stream;
//! use matssl_tensor::init::{self, ConvInit};
//! use matssl_tensor::ops::Conv2d;
//! use matssl_tensor::{Mode, Parameters, Tape, Value};
//!
//! /// A 3×3 convolution with batch norm and ReLU, the mean over all pixels, and a linear layer: `[batch, 1]`.
//! fn network(tape: &Tape<'_>, images: &Value) -> Result<Value> {
//!     let features = tape.conv_norm(&[(images, false)], ("conv", "norm"), Conv2d::new(1, 1), None, true)?;
//!     tape.linear(&tape.global_average_pool(&features)?, "linear.weight", Some("linear.bias"))
//! }
//!
//! # fn main() -> Result<()> {
//! let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
//! let stream = Stream::new(0, "example", 0, 0);
//! init::conv_weight(&mut parameters, "conv", [3, 1, 8], ConvInit::KaimingNormalFanOut, &stream)?;
//! init::batch_norm(&mut parameters, "norm", 8)?;
//! init::linear(&mut parameters, "linear", [8, 1], true, &stream)?;
//!
//! let images = Tensor::randn(0f32, 1.0, (4, 16, 16, 1), &Device::Cpu)?;
//! let targets = Tensor::new(&[[1f32], [-1.0], [1.0], [-1.0]], &Device::Cpu)?;
//!
//! let loss = |mode| -> Result<(f32, Tape<'_>, Value, Tensor)> {
//!     let tape = Tape::new(&parameters, mode);
//!     let output = network(&tape, &tape.input(&images)?)?;
//!     let difference = (output.tensor() - &targets)?;
//!     Ok((difference.sqr()?.mean_all()?.to_scalar()?, tape, output, difference))
//! };
//! let (before, tape, output, difference) = loss(Mode::Train)?;
//! // The gradient of the loss with respect to the output starts the backward pass.
//! let gradients = tape.backward(vec![(output, (difference * (2.0 / 4.0))?)])?;
//! for (name, parameter) in parameters.trainable() {
//!     if let Some(gradient) = gradients.get(name) {
//!         parameter.var.set(&(parameter.var.as_detached_tensor() - (gradient * 0.01)?)?)?;
//!     }
//! }
//! let (after, ..) = loss(Mode::Train)?;
//! assert!(after < before, "{after} after the step, {before} before");
//! # Ok(())
//! # }
//! ```
//!
//! `examples/stripes.rs` trains a network to the end.

mod count;
pub mod device;
mod footprint;
mod graph;
mod images;
pub mod init;
pub mod moving_average;
mod name;
pub mod ops;
mod out_of_memory;
mod parameters;
mod precision;
mod saved;
mod tape;
#[doc(hidden)]
pub mod testing;
mod trace;

pub use count::Footprint;
pub use device::OpenDevice;
pub use footprint::{convolutions, footprint, prediction_footprint};
pub use graph::{Graph, GraphNode, Operation};
pub use images::{Feeder, Images, Pixels, Room, feeder};
pub use matssl_base::device_name::DeviceName;
pub use parameters::{Gradients, Parameter, Parameters, Role};
pub use precision::Precision;
pub use tape::{Mode, Tape, Value};
pub use trace::trace;
