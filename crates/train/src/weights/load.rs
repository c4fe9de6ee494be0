//! Reads weights, of either format, into a network's parameters.

use super::error::WeightsError;
use super::layout::{from_pytorch, pytorch_shape, under};
use super::pth;
use candle_core::{Device, Tensor};
use matssl_tensor::{Parameter, Parameters};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;

/// torchvision's classifier, which an encoder does not have.
const CLASSIFIER: [&str; 2] = ["fc.weight", "fc.bias"];

/// What [`load`] left out, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors of the network that the file lacks (their values stay), by the file's names.
    pub missing: Vec<String>,
}

/// Sets the parameters under `prefix` (empty: all) from the file `path`, whose names lack the prefix. Floating-point
/// tensors of any precision convert. Either all is set or, on an error, nothing. torchvision's classifier is passed
/// over, and a missing `num_batches_tracked` (files older than PyTorch 0.4.1) is no fault.
///
/// # Errors
/// If the file cannot be read; if it holds other tensors or others' shapes, or not one of the network; and, unless
/// `allow_missing`, if it lacks tensors: each by name.
pub fn load(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    allow_missing: bool,
) -> Result<LoadReport, WeightsError> {
    set(parameters, prefix, path, read(path, None)?, allow_missing)
}

/// As [`load`], if the file's blake3 is `digest` (hex).
///
/// # Errors
/// As [`load`]; [`WeightsError::Changed`] if the file is another one.
pub fn load_verified(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    digest: &str,
    allow_missing: bool,
) -> Result<LoadReport, WeightsError> {
    set(parameters, prefix, path, read(path, Some(digest))?, allow_missing)
}

fn set(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    mut tensors: BTreeMap<String, Tensor>,
    allow_missing: bool,
) -> Result<LoadReport, WeightsError> {
    let names: Vec<String> = tensors.keys().cloned().collect();
    let (mut report, mut misshapen, mut found) = (LoadReport::default(), Vec::new(), Vec::new());
    for (name, parameter) in under(parameters, prefix) {
        let Some(tensor) = tensors.remove(name) else {
            if !name.ends_with("num_batches_tracked") {
                report.missing.push(name.to_owned());
            }
            continue;
        };
        let expected = pytorch_shape(parameter);
        // Files of PyTorch 0.3, and some converted ones, keep a counter as one number in a row; PyTorch takes them too.
        let tensor = if expected.is_empty() && tensor.dims() == [1] { tensor.squeeze(0)? } else { tensor };
        if tensor.dims() == expected {
            found.push((parameter, tensor));
        } else {
            misshapen.push(format!("{name}: {:?} instead of {expected:?}", tensor.dims()));
        }
    }
    if found.is_empty() && misshapen.is_empty() {
        return Err(WeightsError::Unrelated { path: path.to_owned(), found: names, expected: report.missing });
    }
    let unused: Vec<String> = tensors.into_keys().filter(|name| !CLASSIFIER.contains(&name.as_str())).collect();
    if !misshapen.is_empty() || !unused.is_empty() || (!report.missing.is_empty() && !allow_missing) {
        let missing = if allow_missing { Vec::new() } else { report.missing };
        return Err(WeightsError::Mismatch { path: path.to_owned(), missing, unused, misshapen });
    }
    let converted: Vec<(&Parameter, Tensor)> = found
        .into_iter()
        .map(|(parameter, tensor)| Ok((parameter, from_pytorch(parameter, &tensor)?)))
        .collect::<candle_core::Result<_>>()?;
    for (parameter, tensor) in converted {
        parameter.var.set(&tensor)?;
    }
    Ok(report)
}

fn read(path: &Path, digest: Option<&str>) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|error| WeightsError::io(path, error))?;
    if digest.is_some_and(|digest| blake3::hash(&bytes).to_hex().as_str() != digest) {
        return Err(WeightsError::Changed { path: path.to_owned() });
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if matches!(extension, "pth" | "pt") || pth::is_one(&bytes) {
        return pth::read(&bytes).map_err(|error| WeightsError::format(path, error));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|error| WeightsError::format(path, error))?;
    let load = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        Ok((name, candle_core::safetensors::Load::load(&view, &Device::Cpu)?))
    };
    file.tensors().into_iter().map(load).collect()
}
