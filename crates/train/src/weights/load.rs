//! Reads weights, of either format, into a network's parameters.

use super::error::WeightsError;
use super::layout::{from_pytorch, pytorch_shape, under};
use super::request::{LoadReport, Request};
use super::take::take;
use matssl_tensor::{Parameter, Parameters};
use std::path::Path;

/// Sets the parameters under `prefix` (empty: all) from the file `path`, whose names lack the prefix, but may lie under any
/// key and have a prefix of their own. Floating-point tensors of any precision convert. Either all is set or, on an error,
/// nothing. What lies beside the network (a classifier, a head, a queue) is passed over, and a missing `num_batches_tracked`
/// (files older than PyTorch 0.4.1) is no fault. A first convolution for another number of channels is summed or repeated.
///
/// # Errors
/// If the file cannot be read; if it holds other tensors or others' shapes, or not one of the network; if it holds NaN or
/// infinite numbers; if several networks in it fit; and, unless `allow_missing`, if it lacks tensors: each by name.
pub fn load(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    allow_missing: bool,
) -> Result<LoadReport, WeightsError> {
    set(parameters, prefix, path, None, &Request { allow_missing, ..Request::default() }, true)
}

/// As [`load`] of all parameters, which nobody has used before: with half the memory, and on an error some are set.
///
/// # Errors
/// As [`load`].
pub fn load_new(parameters: &Parameters, path: &Path) -> Result<LoadReport, WeightsError> {
    set(parameters, "", path, None, &Request::default(), false)
}

/// As [`load`], of the tensors and of the network that `request` chooses.
///
/// # Errors
/// As [`load`].
pub fn load_chosen(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    request: &Request<'_>,
) -> Result<LoadReport, WeightsError> {
    set(parameters, prefix, path, None, request, true)
}

/// As [`load`], if the file's blake3 is `digest` (hex), and of the network that `request` chooses.
///
/// # Errors
/// As [`load`]; [`WeightsError::Changed`] if the file is another one.
pub fn load_verified(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    digest: &str,
    request: &Request<'_>,
) -> Result<LoadReport, WeightsError> {
    set(parameters, prefix, path, Some(digest), request, true)
}

fn set(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    digest: Option<&str>,
    request: &Request<'_>,
    all_or_nothing: bool,
) -> Result<LoadReport, WeightsError> {
    let bytes = std::fs::read(path).map_err(|error| WeightsError::io(path, error))?;
    if digest.is_some_and(|digest| blake3::hash(&bytes).to_hex().as_str() != digest) {
        return Err(WeightsError::Changed { path: path.to_owned() });
    }
    let left_out = |name: &str| {
        request.without.is_some_and(|without| name.starts_with(without))
            || request.only.is_some_and(|only| !only.contains(name))
    };
    let wanted: Vec<(&str, &Parameter)> = under(parameters, prefix).filter(|(name, _)| !left_out(name)).collect();
    let expected: Vec<(String, Vec<usize>)> =
        wanted.iter().map(|(name, parameter)| ((*name).to_owned(), pytorch_shape(parameter))).collect();
    let mut converted = Vec::new();
    let report = take(path, &bytes, &expected, request, |at, tensor| {
        let (_, parameter) = wanted[at];
        let tensor = from_pytorch(parameter, &tensor)?;
        if all_or_nothing {
            converted.push((parameter, tensor));
            return Ok(());
        }
        parameter.var.set(&tensor)
    })?;
    for (parameter, tensor) in converted {
        parameter.var.set(&tensor)?;
    }
    Ok(report)
}
