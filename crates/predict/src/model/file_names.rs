//! Names of the files of a model folder.

/// The description.
pub(super) const DESCRIPTION: &str = "model.json";
/// The weights.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// What the training images look like.
pub(super) const REFERENCE: &str = "reference.safetensors";
/// The network for other programs. No prediction of this program depends on it.
pub(super) const ONNX: &str = "model.onnx";
/// What the model is, and how Python loads it.
pub(super) const README: &str = "README.md";
