//! The reference file of a fine-tuning.

use super::super::{InputFiles, StageError};
use anyhow::Context as _;
use matssl_predict::reference::Reference;
use std::path::Path;

/// What a fine-tuning leaves beside its weights: calibration, errors on the validation images, and what its training images look like.
pub(in crate::stage) struct ReferenceFile;

impl ReferenceFile {
    /// File name in the output of a stage.
    pub(in crate::stage) const FILE: &'static str = Reference::FILE;

    /// Writes `reference` into `folder`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(in crate::stage) fn write(reference: &Reference, folder: &Path) -> Result<(), StageError> {
        reference.write(&folder.join(Self::FILE)).map_err(StageError::failed)
    }

    /// Reads the reference of the model `input`; `None` if it has none, because an older program trained it.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(in crate::stage) fn read(input: &InputFiles) -> anyhow::Result<Option<Reference>> {
        let Some(path) = input.files.get(Self::FILE) else { return Ok(None) };
        Reference::read(path).map(Some).with_context(|| format!("the reference of {}", input.label))
    }
}
