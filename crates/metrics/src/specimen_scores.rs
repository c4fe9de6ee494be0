//! Scores of single specimens, and their mean.

use super::Confusion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The mean over specimens: each counts the same, whatever the number and the size of its images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecimenScores {
    /// Mean of the specimens' mIoU; `None` if none has one.
    pub miou: Option<f64>,
    /// By name.
    pub specimens: Vec<SpecimenScore>,
}

/// The scores of one specimen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecimenScore {
    /// Its name.
    pub name: String,
    /// Number of its images.
    pub images: usize,
    /// mIoU pooled over the pixels of its images, over the classes that are in them.
    pub miou: Option<f64>,
}

impl SpecimenScores {
    /// The scores of images, each with its specimen and its matrix. Means leave out the classes `ignored`.
    pub fn of<'a>(images: impl Iterator<Item = (&'a str, &'a Confusion)>, ignored: &[u8]) -> Self {
        let mut pooled: BTreeMap<&str, (usize, Confusion)> = BTreeMap::new();
        for (specimen, matrix) in images {
            let (count, sum) = pooled.entry(specimen).or_insert_with(|| (0, Confusion::new(matrix.classes())));
            *count += 1;
            sum.merge(matrix);
        }
        let score = |(name, (images, sum)): (&str, (usize, Confusion))| SpecimenScore {
            name: name.to_owned(),
            images,
            miou: sum.miou(ignored),
        };
        let specimens: Vec<SpecimenScore> = pooled.into_iter().map(score).collect();
        let scores: Vec<f64> = specimens.iter().filter_map(|specimen| specimen.miou).collect();
        let miou = (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64);
        SpecimenScores { miou, specimens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_specimen_counts_the_same() {
        let matrix = |truth: &[u8], prediction: &[u8]| {
            let mut matrix = Confusion::new(3);
            matrix.add(truth, prediction, None).unwrap();
            matrix
        };
        // Of A two images, pooled: IoU 3/4 and 2/3; of B one: 1/2, and class 2 is left out.
        let images = [
            ("A", matrix(&[0, 0, 1, 1], &[0, 1, 1, 1])),
            ("B", matrix(&[0, 0, 2], &[0, 2, 2])),
            ("A", matrix(&[0, 0], &[0, 0])),
        ];
        let scores = SpecimenScores::of(images.iter().map(|(name, matrix)| (*name, matrix)), &[2]);
        let of: Vec<_> = scores.specimens.iter().map(|s| (s.name.as_str(), s.images, s.miou)).collect();
        assert_eq!(of, [("A", 2, Some((0.75 + 2.0 / 3.0) / 2.0)), ("B", 1, Some(0.5))]);
        assert_eq!(scores.miou, Some(((0.75 + 2.0 / 3.0) / 2.0 + 0.5) / 2.0));
        assert_eq!(SpecimenScores::of(std::iter::empty(), &[]).miou, None);
    }
}
