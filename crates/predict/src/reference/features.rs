//! How far an image's features are from those of the training patches.

use serde::{Deserialize, Serialize};

/// An image whose features are this many times as far from the training patches as those of any known image is unusual.
const MARGIN: f64 = 1.25;

/// How far the features of known images are from the training patches. The features of an image are the mean of its tiles' embeddings.
/// The distance is Euclidean, from the nearest patch, between vectors of length 1 (Sun et al. 2022, *Out-of-Distribution Detection with
/// Deep Nearest Neighbors*).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureDistance {
    /// The largest distance of a validation image, and of a training image from the patches of the other training images.
    pub farthest: f64,
    /// An image that is farther is unusual: 1.25 times `farthest`.
    pub limit: f64,
    /// Number of images that were compared. 0 in a file of a program that compared single tiles.
    #[serde(default)]
    pub images: usize,
}

impl FeatureDistance {
    /// From the embeddings of each training image and of each validation image, `[tiles, channels]` each. `None` if nothing can be
    /// compared: one training image and no validation image.
    pub(super) fn new(training: &[&[f32]], validation: &[&[f32]], channels: usize) -> Option<Self> {
        let wide = |image: &&[f32]| image.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let patches: Vec<Vec<f64>> = training.iter().map(|image| directions(&wide(image), channels)).collect();
        // The same statistic as of an image that is judged.
        let distance = |image: &&[f32], own: Option<usize>| {
            let others = patches.iter().enumerate().filter(|(other, _)| Some(*other) != own);
            let mean = directions(&mean(&wide(image), channels), channels);
            nearest(&mean, others.map(|(_, image)| image.as_slice()), channels)
        };
        let of_training = training.iter().enumerate().map(|(own, image)| (image, Some(own)));
        let all = of_training.chain(validation.iter().map(|image| (image, None)));
        let distances: Vec<f64> =
            all.filter(|(image, _)| !image.is_empty()).filter_map(|(image, own)| distance(image, own)).collect();
        let farthest = distances.iter().copied().fold(0.0, f64::max);
        // Equal images, as synthetic ones may be, leave room for rounding only.
        let limit = (MARGIN * farthest).max(1e-3);
        (!distances.is_empty()).then_some(FeatureDistance { farthest, limit, images: distances.len() })
    }

    /// How many times as far an image's mean `embedding` `[channels]` is from `patches` `[patches, channels]` as any known image;
    /// `None` if it is usual.
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
        // The mean of the first training image is at atan(3) = 71.6°, 41.6° from 30°; of the second at 30°, from 0°; of the
        // validation image at 60°, from 30° (and from 90°).
        let farthest = chord(3f64.atan().to_degrees() - 30.0);
        assert!((found.farthest - farthest).abs() < 1e-6 && found.images == 3, "{found:?}");
        assert_eq!(found.limit, 1.25 * found.farthest);
        let patches = [one.clone(), two.clone()].concat();
        assert_eq!(found.excess(&at(60.0, 5.0), &patches), None);
        let excess = found.excess(&at(180.0, 1.0), &patches).unwrap();
        assert!((excess - chord(90.0) / farthest).abs() < 1e-6, "{excess}");
        assert!(found.excess(&[f32::NAN, 1.0], &patches).is_some());
        // Only validation: one training image.
        let found = FeatureDistance::new(&[&two], &[&validation], 2).unwrap();
        assert!((found.farthest - chord(30.0)).abs() < 1e-6 && found.images == 1);
        assert_eq!(FeatureDistance::new(&[&two], &[], 2), None);
    }
}
