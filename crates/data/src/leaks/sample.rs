//! An image that is compared with others.

use crate::{DataError, Entry, Micrograph, OpenDataset};

/// An image to compare.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// The data set of the image.
    pub dataset: &'a OpenDataset,
    /// The image.
    pub entry: &'a Entry,
}

impl Sample<'_> {
    /// Reads the image as it was taken: without its info band, neither resized nor resampled.
    ///
    /// # Errors
    /// [`DataError`] if it cannot be read.
    pub fn read(&self) -> Result<Micrograph, DataError> {
        self.dataset.read_image(&self.entry.as_taken())
    }
}
