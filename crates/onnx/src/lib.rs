//! Networks of [`matssl_tensor`] as [ONNX](https://onnx.ai) files.
//!
//! [`matssl_tensor::trace()`] lists a network's operations from its own definition, [`OnnxModel::encode`] writes them with the
//! parameters under PyTorch's names and in its layouts. ONNX Runtime, OpenVINO, TensorRT and others read the file.

mod encode;
mod error;
mod model;
mod nodes;
mod proto;
mod tensors;
#[cfg(test)]
mod tests;

pub use error::OnnxError;
pub use model::{INPUT, IR_VERSION, OPSET, OUTPUT, OnnxModel};
