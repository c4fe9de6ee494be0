//! Whether an image is unlike those that the models were trained on.

use crate::model::ModelFolder;
use matssl_data::Micrograph;

/// What is seen of an image while its rows are read.
#[derive(Default)]
pub(super) struct Seen;

impl Seen {
    /// Adds the next rows.
    pub(super) fn add(&mut self, _rows: &Micrograph) {}

    /// Sentences why the image is unlike the training images of `models`; none if it is not, or if a model does not know its
    /// training images.
    pub(super) fn unusual(self, _models: &[ModelFolder]) -> Vec<String> {
        Vec::new()
    }
}
