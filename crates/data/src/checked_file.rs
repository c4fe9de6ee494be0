//! Files whose content must not have changed.

use super::DataError;
use std::path::Path;

/// Reads a file and checks that it still has the blake3 `digest` (in hex) that it had when it was listed.
///
/// # Errors
/// [`DataError`] if it cannot be read or has changed.
pub(crate) fn read_checked(path: &Path, digest: &str) -> Result<Vec<u8>, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::reading(path))?;
    if blake3::hash(&bytes).to_hex().as_str() != digest {
        return Err(DataError::bad(
            path,
            "changed since the data set was checked",
            "run the experiment again, which checks the data set again",
        ));
    }
    Ok(bytes)
}
