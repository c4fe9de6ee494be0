//! Maps of how unsure a prediction is.

use super::mask_png::{BytePng, Shown};
use crate::engine::Band;
use anyhow::Result;
use rayon::prelude::*;
use std::path::Path;

/// A map as a grey PNG: 0 is sure, 255 the most unsure that can be.
pub(super) struct GreyMap {
    file: BytePng,
    what: Shows,
}

/// What a map shows, as a fraction of the logarithm of the number of classes.
#[derive(Clone, Copy)]
pub(super) enum Shows {
    /// The entropy of the mean probabilities.
    Entropy,
    /// The mutual information between label and model.
    Disagreement,
}

impl GreyMap {
    pub(super) fn create(
        what: Shows,
        work: &Path,
        path: &Path,
        size: (usize, usize),
        pixel_size: Option<[f64; 2]>,
    ) -> Result<Self> {
        Ok(GreyMap { file: BytePng::create(work, path, size, &Shown::Grey, pixel_size)?, what })
    }

    pub(super) fn add(&mut self, band: &Band, classes: usize) -> Result<()> {
        let pixels = band.labels.len();
        let rows = match (self.what, &band.disagreement) {
            (Shows::Entropy, _) => {
                let mut rows = vec![0u8; pixels];
                let all = rows.par_iter_mut().with_min_len(1 << 14).zip(band.probabilities.par_chunks_exact(classes));
                all.for_each(|(grey, probabilities)| *grey = level(entropy(probabilities), classes));
                rows
            }
            (Shows::Disagreement, Some(disagreement)) => {
                disagreement.iter().map(|&nats| level(nats, classes)).collect()
            }
            (Shows::Disagreement, None) => vec![0; pixels],
        };
        self.file.add(&rows)
    }

    pub(super) fn finish(self) -> Result<()> {
        self.file.finish()
    }
}

/// In nats.
fn entropy(probabilities: &[f32]) -> f32 {
    probabilities.iter().filter(|&&p| p > 0.0).map(|&p| -p * p.ln()).sum()
}

/// Nats as a grey level: 255 is the logarithm of the number of classes.
fn level(nats: f32, classes: usize) -> u8 {
    if classes < 2 { 0 } else { (255.0 * nats / (classes as f32).ln()).round().clamp(0.0, 255.0) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_is_black_and_a_guess_is_white() {
        let of = |probabilities: &[f32]| level(entropy(probabilities), probabilities.len());
        assert_eq!([of(&[1.0, 0.0]), of(&[0.5, 0.5]), of(&[0.25; 4])], [0, 255, 255]);
        // H(0.9, 0.1) / ln 2 = 0.469.
        assert_eq!(of(&[0.9, 0.1]), 120);
        assert_eq!(of(&[1.0]), 0);
    }
}
