//! Whether an image is unlike those that the first model was trained on.

use crate::reference::{ImageStatistics, Reference};
use matssl_data::Micrograph;

/// What is seen of an image while its rows are read, from top to bottom, each once.
pub(super) struct Seen {
    statistics: ImageStatistics,
    rows: usize,
}

impl Seen {
    /// Of an image of `channels` channels.
    pub(super) fn new(channels: usize) -> Self {
        Seen { statistics: ImageStatistics::new(channels), rows: 0 }
    }

    /// Adds the next rows.
    pub(super) fn add(&mut self, rows: &Micrograph) {
        self.statistics.add(self.rows, rows);
        self.rows += rows.height;
    }

    /// Sentences why the image is unlike the training images of all models that know theirs; each once, none if it is not.
    /// `embedding` is that of the first model.
    pub(super) fn unusual(self, references: &[Option<Reference>], embedding: Option<&[f32]>) -> Vec<String> {
        let statistics = self.statistics.finish();
        let mut sentences = Vec::new();
        for (number, reference) in references.iter().enumerate() {
            let Some(reference) = reference else { continue };
            for sentence in reference.judge(&statistics, embedding.filter(|_| number == 0)) {
                if !sentences.contains(&sentence) {
                    sentences.push(sentence);
                }
            }
        }
        sentences
    }
}
