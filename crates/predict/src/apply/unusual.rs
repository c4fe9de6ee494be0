//! Whether an image is unlike those that the first model was trained on.

use crate::engine::Predicted;
use crate::reference::{ImageStatistics, Reference};
use matssl_data::Micrograph;

/// What is seen of an image while its rows are read.
#[derive(Default)]
pub(super) struct Seen {
    statistics: Option<ImageStatistics>,
    rows: usize,
}

impl Seen {
    /// Adds the next rows.
    pub(super) fn add(&mut self, rows: &Micrograph) {
        let statistics = self.statistics.get_or_insert_with(|| ImageStatistics::new(rows.channels));
        statistics.add(self.rows, rows);
        self.rows += rows.height;
    }

    /// Sentences why the image that was `predicted` is unlike the training images of `reference`; none if it is not.
    pub(super) fn unusual(self, reference: &Reference, predicted: &Predicted) -> Vec<String> {
        let statistics = self.statistics.map(|statistics| statistics.finish()).unwrap_or_default();
        reference.judge(&statistics, Some(&predicted.embedding), predicted.scaled_by.is_some())
    }
}
