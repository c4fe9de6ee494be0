//! The network of a model folder as an ONNX file.

use super::super::outcome::Stop;
use crate::predict::model::ModelFolder;

/// Writes `model.onnx` into `folder`, and its hash into `model.json`.
pub(super) fn write(_folder: &ModelFolder) -> Result<(), Stop> {
    Err(Stop::bad_request("--onnx: not built yet"))
}
