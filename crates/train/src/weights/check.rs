//! Checks a weight file before anything is trained.

use super::error::WeightsError;
use super::find::Expected;
use super::request::{LoadReport, Request};
use super::take::take;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A file as it was checked, and for what.
#[derive(PartialEq, Eq, Hash)]
struct Checked {
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    expected: Vec<(String, Vec<usize>)>,
    allow_missing: bool,
    key: Option<String>,
    prefix: Option<String>,
}

/// Checks that the file `path` holds the network `expected` (names and shapes in PyTorch's layout) and that its numbers are
/// finite, as [`load`](super::load()) would. A file that has passed is not read again in this process.
///
/// # Errors
/// As [`load`](super::load()).
pub fn check(
    path: &Path,
    expected: &[(String, Vec<usize>)],
    request: &Request<'_>,
) -> Result<LoadReport, WeightsError> {
    static PASSED: Mutex<Option<HashMap<Checked, LoadReport>>> = Mutex::new(None);
    let metadata = std::fs::metadata(path).map_err(|error| WeightsError::io(path, error))?;
    let checked = Checked {
        path: path.to_owned(),
        bytes: metadata.len(),
        modified: metadata.modified().ok(),
        expected: expected.to_vec(),
        allow_missing: request.allow_missing,
        key: request.key.map(str::to_owned),
        prefix: request.prefix.map(str::to_owned),
    };
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let passed = passed.get_or_insert_default();
    if let Some(report) = passed.get(&checked) {
        return Ok(report.clone());
    }
    let bytes = std::fs::read(path).map_err(|error| WeightsError::io(path, error))?;
    let report = of_bytes(path, &bytes, expected, request)?;
    passed.insert(checked, report.clone());
    Ok(report)
}

/// As [`check`], of the content of a file: what a fuzzer calls.
///
/// # Errors
/// As [`check`], with an empty path.
pub fn check_bytes(
    bytes: &[u8],
    expected: &[(String, Vec<usize>)],
    request: &Request<'_>,
) -> Result<LoadReport, WeightsError> {
    of_bytes(Path::new(""), bytes, expected, request)
}

fn of_bytes(path: &Path, bytes: &[u8], expected: &Expected, request: &Request<'_>) -> Result<LoadReport, WeightsError> {
    take(path, bytes, expected, request, |_, _| Ok(()))
}
