//! Images with their masks in memory.

use crate::data::{Entry, Mask, Micrograph, OpenDataset};
use crate::stage::StageError;
use crate::stage::errors::data_error;

/// Images and their masks.
pub(super) type Samples = Vec<(Micrograph, Mask)>;

/// Reads images with their masks.
pub(super) fn samples(dataset: &OpenDataset, entries: &[&Entry]) -> Result<Samples, StageError> {
    let mut samples = Vec::new();
    for entry in entries {
        if let (image, Some(mask)) = dataset.read(entry).map_err(data_error)? {
            samples.push((image, mask));
        }
    }
    Ok(samples)
}
