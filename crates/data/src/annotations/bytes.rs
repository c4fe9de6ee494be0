//! Reads the content of an annotation file without a data set.

use super::AnnotationFile;
use crate::DataError;
use std::path::Path;

/// Reads `bytes` as an annotation file of any format: what a fuzzer calls. `path` is for messages.
///
/// # Errors
/// As a data set's check.
pub fn check_bytes(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    AnnotationFile::parse(path, bytes, None).map(drop)
}
