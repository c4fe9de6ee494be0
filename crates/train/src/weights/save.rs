//! Writes weights as `.safetensors`.

use super::config::CONFIG;
use super::error::WeightsError;
use super::layout::{to_pytorch, under};
use candle_core::{DType, Device};
use matssl_tensor::Parameters;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Writes the parameters under `prefix_filter` (the prefix taken off their names), or all, to the safetensors file
/// `path`: float32, PyTorch's layouts, counters as int64, and `config`, unless empty, as the only metadata. The
/// same parameters give the same bytes.
///
/// # Errors
/// If the file cannot be written.
pub fn save(
    parameters: &Parameters,
    prefix_filter: Option<&str>,
    path: &Path,
    config: &str,
) -> Result<(), WeightsError> {
    let mut tensors = BTreeMap::new();
    for (name, parameter) in under(parameters, prefix_filter.unwrap_or_default()) {
        let tensor = to_pytorch(parameter)?;
        let dtype = if tensor.dtype().is_float() { DType::F32 } else { DType::I64 };
        tensors.insert(name, tensor.to_dtype(dtype)?.to_device(&Device::Cpu)?.contiguous()?);
    }
    let metadata = (!config.is_empty()).then(|| HashMap::from([(CONFIG.to_owned(), config.to_owned())]));
    let bytes = safetensors::serialize(tensors, metadata).map_err(|error| WeightsError::format(path, error))?;
    std::fs::write(path, bytes).map_err(|source| WeightsError::Write { path: path.to_owned(), source })
}
