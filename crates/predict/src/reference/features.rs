//! How far an image's features are from those of the training patches.

use serde::{Deserialize, Serialize};

/// Features that are this many times as far from the training patches as those of any known tile are unusual.
const MARGIN: f64 = 1.25;

/// How far features of known tiles are from the training patches. The distance is Euclidean, from the nearest patch, between vectors of
/// length 1 (Sun et al. 2022, *Out-of-Distribution Detection with Deep Nearest Neighbors*).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureDistance {
    /// The largest distance of a tile or of the mean of a validation image, and of a training patch from those of other training images.
    pub farthest: f64,
    /// An image is unusual whose mean is farther: 1.25 times `farthest`.
    pub limit: f64,
    /// Number of tiles that were compared.
    pub tiles: usize,
}

impl FeatureDistance {
    /// From the embeddings of each training image and of each validation image, `[tiles, channels]` each. `None` if nothing can be compared:
    /// one training image and no validation image.
    pub(super) fn new(training: &[&[f32]], validation: &[&[f32]], channels: usize) -> Option<Self> {
        let patches: Vec<Vec<f64>> =
            training.iter().map(|image| image.iter().map(|&v| f64::from(v)).collect()).collect();
        let patches: Vec<Vec<f64>> = patches.iter().map(|image| directions(image, channels)).collect();
        let mut distances = Vec::new();
        for (own, image) in patches.iter().enumerate() {
            let others =
                || patches.iter().enumerate().filter(|(other, _)| *other != own).map(|(_, image)| image.as_slice());
            distances.extend(image.chunks_exact(channels).filter_map(|patch| nearest(patch, others(), channels)));
        }
        let all = || patches.iter().map(Vec::as_slice);
        for image in validation.iter().filter(|image| !image.is_empty()) {
            let image: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
            let tiles = directions(&[image.clone(), mean(&image, channels)].concat(), channels);
            distances.extend(tiles.chunks_exact(channels).filter_map(|tile| nearest(tile, all(), channels)));
        }
        let farthest = distances.iter().copied().fold(0.0, f64::max);
        // Equal images, as synthetic ones may be, leave room for rounding only.
        let limit = (MARGIN * farthest).max(1e-3);
        (!distances.is_empty()).then_some(FeatureDistance { farthest, limit, tiles: distances.len() })
    }

    /// By how much an image's `embedding` `[channels]` is farther from `patches` `[patches, channels]` than any known tile is; `None`
    /// if it is usual.
    pub(super) fn excess(&self, embedding: &[f32], patches: &[f32]) -> Option<f64> {
        let channels = embedding.len();
        let vector = |values: &[f32]| directions(&values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), channels);
        let (embedding, patches) = (vector(embedding), vector(patches));
        let distance = nearest(&embedding, std::iter::once(patches.as_slice()), channels)?;
        // What is not a number is not usual.
        let is_usual = distance <= self.limit;
        (!is_usual).then(|| distance / self.farthest.max(self.limit / MARGIN))
    }
}

/// Each vector `[channels]` divided by its length.
fn directions(vectors: &[f64], channels: usize) -> Vec<f64> {
    let of = |vector: &[f64]| {
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        vector.iter().map(move |v| v / length).collect::<Vec<f64>>()
    };
    vectors.chunks_exact(channels.max(1)).flat_map(of).collect()
}

/// The mean of vectors `[count, channels]`.
fn mean(vectors: &[f64], channels: usize) -> Vec<f64> {
    let mut sum = vec![0.0; channels];
    for vector in vectors.chunks_exact(channels.max(1)) {
        sum.iter_mut().zip(vector).for_each(|(sum, v)| *sum += v);
    }
    let count = (vectors.len() / channels.max(1)).max(1) as f64;
    sum.into_iter().map(|sum| sum / count).collect()
}

/// The distance of `vector` from the nearest of the vectors of `images`.
fn nearest<'a>(vector: &[f64], images: impl Iterator<Item = &'a [f64]>, channels: usize) -> Option<f64> {
    let squares = |other: &[f64]| vector.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    images.flat_map(|image| image.chunks_exact(channels.max(1))).map(squares).min_by(f64::total_cmp).map(f64::sqrt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_right_by_hand() {
        // Directions at 0°, 90° in one image and 30° in another; a validation image at 60° (two tiles of 40° and 80°).
        let at = |degrees: f64, length: f64| {
            [(length * degrees.to_radians().cos()) as f32, (length * degrees.to_radians().sin()) as f32]
        };
        let chord = |degrees: f64| 2.0 * (degrees.to_radians() / 2.0).sin();
        let (one, two) = ([at(0.0, 1.0), at(90.0, 3.0)].concat(), at(30.0, 2.0).to_vec());
        let validation = [at(40.0, 1.0), at(80.0, 1.0)].concat();
        let found = FeatureDistance::new(&[&one, &two], &[&validation], 2).unwrap();
        // 90° is farthest: 60° from 30°.
        assert!((found.farthest - chord(60.0)).abs() < 1e-6 && found.tiles == 6, "{found:?}");
        assert_eq!(found.limit, 1.25 * found.farthest);
        let patches = [one.clone(), two.clone()].concat();
        assert_eq!(found.excess(&at(60.0, 5.0), &patches), None);
        let excess = found.excess(&at(180.0, 1.0), &patches).unwrap();
        assert!((excess - chord(90.0) / chord(60.0)).abs() < 1e-6, "{excess}");
        assert!(found.excess(&[f32::NAN, 1.0], &patches).is_some());
        // Only validation: one training image.
        let found = FeatureDistance::new(&[&two], &[&validation], 2).unwrap();
        assert!((found.farthest - chord(50.0)).abs() < 1e-6);
        assert_eq!(FeatureDistance::new(&[&two], &[], 2), None);
    }
}
