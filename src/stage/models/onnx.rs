//! The network of a model folder as an ONNX file.

use super::super::StageError;
use crate::predict::model::ModelFolder;

/// Writes `model.onnx` into `folder`, and its hash into `model.json`.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(_folder: &mut ModelFolder) -> Result<(), StageError> {
    Err(StageError::BadData("`onnx` is not built yet".into()))
}
