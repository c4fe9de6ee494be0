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
    /// Reads the image as it was taken: without its info band, not resized.
    ///
    /// # Errors
    /// [`DataError`] if it cannot be read.
    pub fn read(&self) -> Result<Micrograph, DataError> {
        match self.entry.resized_from {
            None => self.dataset.read_image(self.entry),
            Some((width, height)) => {
                self.dataset.read_image(&Entry { width, height, resized_from: None, ..self.entry.clone() })
            }
        }
    }
}
