//! The network's configuration in the metadata of a weight file.

use super::error::WeightsError;
use std::io::Read;
use std::path::Path;

/// The metadata's only entry.
pub(super) const CONFIG: &str = "config";

/// The configuration that [`save`](super::save()) wrote into `path`; none if the file has none, as files from elsewhere.
///
/// # Errors
/// If the file cannot be read or is no safetensors file.
pub fn read_config(path: &Path) -> Result<Option<String>, WeightsError> {
    let mut file = std::fs::File::open(path).map_err(|error| WeightsError::io(path, error))?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|error| WeightsError::io(path, error))?;
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length)).read_to_end(&mut header).map_err(|error| WeightsError::io(path, error))?;
    let header: serde_json::Value =
        serde_json::from_slice(&header).map_err(|error| WeightsError::format(path, error))?;
    Ok(header["__metadata__"][CONFIG].as_str().map(str::to_owned))
}
