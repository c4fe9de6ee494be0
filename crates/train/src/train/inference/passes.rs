//! The mean over the passes that a batch of tiles makes: one for each symmetry and network.

use matssl_data::Symmetry;
use rayon::prelude::*;

/// Pixels that a thread does at once, at least.
const PIXELS: usize = 1 << 12;

/// Adds up the probabilities of a batch of tiles over the symmetries, for each network by itself.
pub(super) struct Passes {
    side: usize,
    classes: usize,
    /// By network: sums over the symmetries so far, `[tiles, side, side, classes]`.
    sums: Vec<Vec<f32>>,
    /// Number of passes added.
    added: usize,
}

/// What the networks say together.
pub(super) struct Mean {
    /// `[tiles, side, side, classes]`.
    pub(super) probabilities: Vec<f32>,
    /// With several networks: the entropy of the mean minus the mean of the entropies, in nats, `[tiles, side, side]`.
    pub(super) disagreement: Option<Vec<f32>>,
}

impl Passes {
    /// No passes yet, of `networks` networks.
    pub(super) fn new(networks: usize, side: usize, classes: usize) -> Self {
        Passes { side, classes, sums: vec![Vec::new(); networks], added: 0 }
    }

    /// Adds the next pass: probabilities of tiles that were changed by `symmetry`. All networks pass with one symmetry, then
    /// with the next.
    pub(super) fn add(&mut self, probabilities: Vec<f32>, symmetry: Symmetry) {
        let network = self.added % self.sums.len();
        self.added += 1;
        let (sums, side, classes) = (&mut self.sums[network], self.side, self.classes);
        if sums.is_empty() && symmetry == Symmetry::Identity {
            *sums = probabilities;
            return;
        }
        sums.resize(probabilities.len(), 0.0);
        let tile = side * side * classes;
        sums.par_chunks_mut(tile).zip(probabilities.par_chunks(tile)).for_each(|(sums, tile)| {
            for (i, values) in tile.chunks_exact(classes).enumerate() {
                let (x, y) = symmetry.origin((i % side, i / side), (side, side));
                let sums = &mut sums[(y * side + x) * classes..][..classes];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        });
    }

    /// The mean, if each network has passed `symmetries` times; then the next batch may be added.
    pub(super) fn mean(&mut self, symmetries: usize) -> Option<Mean> {
        if self.added < symmetries * self.sums.len() {
            return None;
        }
        self.added = 0;
        let count = self.sums.len();
        for sums in self.sums.iter_mut().filter(|_| symmetries > 1) {
            sums.par_iter_mut().with_min_len(PIXELS).for_each(|sum| *sum /= symmetries as f32);
        }
        let mut networks: Vec<Vec<f32>> = self.sums.iter_mut().map(std::mem::take).collect();
        if count == 1 {
            return networks.pop().map(|probabilities| Mean { probabilities, disagreement: None });
        }
        let classes = self.classes;
        let mut probabilities = vec![0.0; networks[0].len()];
        let mut disagreement = vec![0.0; probabilities.len() / classes];
        let pixels = probabilities.par_chunks_mut(classes).zip(&mut disagreement).with_min_len(PIXELS).enumerate();
        pixels.for_each(|(pixel, (mean, disagreement))| {
            let mut entropies = 0.0;
            for network in &networks {
                let values = &network[pixel * classes..(pixel + 1) * classes];
                mean.iter_mut().zip(values).for_each(|(mean, value)| *mean += value);
                entropies += entropy(values);
            }
            mean.iter_mut().for_each(|mean| *mean /= count as f32);
            // Not negative but for rounding: the entropy is concave.
            *disagreement = (entropy(mean) - entropies / count as f32).max(0.0);
        });
        Some(Mean { probabilities, disagreement: Some(disagreement) })
    }
}

/// In nats.
fn entropy(probabilities: &[f32]) -> f32 {
    -probabilities.iter().map(|&p| if p > 0.0 { p * p.ln() } else { 0.0 }).sum::<f32>()
}

/// From logits to probabilities, in place.
pub(super) fn softmax(values: &mut [f32], classes: usize) {
    values.par_chunks_mut(classes).with_min_len(PIXELS).for_each(|logits| {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for logit in logits.iter_mut() {
            *logit = (*logit - most).exp();
            sum += *logit;
        }
        logits.iter_mut().for_each(|logit| *logit /= sum);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disagreement_is_the_mutual_information() {
        let mut passes = Passes::new(2, 1, 2);
        passes.add(vec![1.0, 0.0], Symmetry::Identity);
        assert!(passes.mean(1).is_none());
        passes.add(vec![0.0, 1.0], Symmetry::Identity);
        let Mean { probabilities, disagreement } = passes.mean(1).unwrap();
        assert_eq!(probabilities, [0.5, 0.5]);
        // Two sure networks that contradict each other.
        assert!((disagreement.unwrap()[0] - std::f32::consts::LN_2).abs() < 1e-6);
        passes.add(vec![0.5, 0.5], Symmetry::Identity);
        passes.add(vec![0.5, 0.5], Symmetry::Identity);
        // Unsure both, of one opinion.
        assert_eq!(passes.mean(1).unwrap().disagreement.unwrap(), [0.0]);
    }

    #[test]
    fn copies_are_turned_back_before_the_mean() {
        let mut passes = Passes::new(1, 2, 1);
        passes.add(vec![1.0, 2.0, 3.0, 4.0], Symmetry::Identity);
        assert!(passes.mean(2).is_none());
        // The tile was turned clockwise: its left column became the first row.
        passes.add(vec![30.0, 10.0, 40.0, 20.0], Symmetry::Turned90);
        let mean = passes.mean(2).unwrap();
        assert_eq!(mean.probabilities, [5.5, 11.0, 16.5, 22.0]);
        assert!(mean.disagreement.is_none());
    }
}
