//! From the map's area shares to the true ones, by what the model did on validation images.

use super::matrix::inverse;
use super::spread::quantile;
use crate::Confusion;
use serde::{Deserialize, Serialize};

/// Probability that a specimen of the same kind as the validation images is taken for another kind.
const FALSE_ALARM: f64 = 0.2;

/// How fractions are corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// By which true classes the pixels of each predicted class had: p_k = Σ_i W_i n_ik / n_i (the stratified estimator of
    /// Olofsson et al. 2013, *Remote Sensing of Environment* 129, eq. 9; W_i: predicted shares, n_ik: validation pixels predicted
    /// as i that are k). It presumes a specimen with about the fractions of the validation images, and is then the more precise.
    Stratified,
    /// By how the pixels of each true class were predicted: W_i = Σ_k p_k n_ik / n_k, solved for p (Card 1982; Hay 1988). It holds
    /// for specimens of any fractions, and has wider intervals. Taken if the predicted shares are unlike those of the
    /// validation images, where the stratified estimator would draw the result towards the validation images.
    Inverse,
}

/// A linear map from predicted shares to corrected ones: `[true class, predicted class]`.
pub(super) type Weights = Vec<Vec<f64>>;

/// What corrects fractions.
pub(super) struct Corrector<'a> {
    pub(super) correction: Correction,
    /// Validation images with pixels.
    images: Vec<&'a Confusion>,
    /// From all images.
    pub(super) weights: Weights,
    /// Without one image each; empty if there is only one.
    without: Vec<Weights>,
}

impl<'a> Corrector<'a> {
    /// The corrector for a specimen with the predicted shares `predicted` in `fields` fields. `None` without validation images that
    /// have these classes.
    pub(super) fn new(predicted: &[f64], fields: usize, validation: &'a [Confusion]) -> Option<Self> {
        let suits = |image: &&Confusion| image.classes() == predicted.len() && image.total() > 0;
        let images: Vec<&Confusion> = validation.iter().filter(suits).collect();
        let inverted = || Corrector::by(Correction::Inverse, images.clone());
        let corrector = is_unlike(predicted, fields, &images).then(inverted).flatten();
        corrector.or_else(|| Corrector::by(Correction::Stratified, images))
    }

    fn by(correction: Correction, images: Vec<&'a Confusion>) -> Option<Self> {
        let classes = images.first()?.classes();
        let mut all = Confusion::new(classes);
        images.iter().for_each(|image| all.merge(image));
        let weights = |left_out: Option<&Confusion>| {
            let count = |k, i| all.count(k, i) - left_out.map_or(0, |image| image.count(k, i));
            correction.weights(classes, count)
        };
        let without: Vec<Weights> = match images.len() {
            1 => Vec::new(),
            _ => images.iter().map(|&image| weights(Some(image))).collect::<Option<_>>()?,
        };
        Some(Corrector { correction, weights: weights(None)?, images, without })
    }

    /// The variance of the corrected share of the true class `class`, because the validation images are few (jackknife over them),
    /// and the mean squared error of the corrected share in a validation image, corrected by the others. `None` for one image.
    pub(super) fn errors(&self, class: usize, predicted: &[f64]) -> Option<ValidationErrors> {
        let count = self.without.len();
        let images = (count > 1).then_some(count as f64)?;
        let values: Vec<f64> = self.without.iter().map(|weights| dot(&weights[class], predicted)).collect();
        let mean = values.iter().sum::<f64>() / images;
        let jackknife = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() * (images - 1.0) / images;
        let error = |(&image, weights): (&&Confusion, &Weights)| {
            let truth = image.truth(class) as f64 / image.total() as f64;
            (dot(&weights[class], &shares(image)) - truth).powi(2)
        };
        let image = self.images.iter().zip(&self.without).map(error).sum::<f64>() / images;
        Some(ValidationErrors { jackknife, image, freedom: images - 1.0 })
    }
}

/// Variances that the validation images give.
pub(super) struct ValidationErrors {
    /// Because other validation images would give another correction.
    pub(super) jackknife: f64,
    /// Because the model's errors differ from image to image.
    pub(super) image: f64,
    /// Degrees of freedom of both.
    pub(super) freedom: f64,
}

impl Correction {
    /// The map from predicted shares to corrected ones. A class that validation never predicts (`Stratified`) or never has
    /// (`Inverse`) stays as it is predicted. `None` if the model cannot tell some classes from each other.
    fn weights(self, classes: usize, count: impl Fn(usize, usize) -> u64) -> Option<Weights> {
        let share = |part: u64, total: u64, is_same: bool| match total {
            0 => f64::from(u8::from(is_same)),
            _ => part as f64 / total as f64,
        };
        let by_prediction = |k: usize, i: usize| share(count(k, i), (0..classes).map(|k| count(k, i)).sum(), k == i);
        let by_truth = |k: usize, i: usize| share(count(k, i), (0..classes).map(|i| count(k, i)).sum(), k == i);
        match self {
            Correction::Stratified => {
                Some((0..classes).map(|k| (0..classes).map(|i| by_prediction(k, i)).collect()).collect())
            }
            Correction::Inverse => {
                inverse((0..classes).map(|i| (0..classes).map(|k| by_truth(k, i)).collect()).collect())
            }
        }
    }
}

/// Whether the predicted shares lie outside of what is to be expected from those of the validation images, for any class.
fn is_unlike(predicted: &[f64], fields: usize, images: &[&Confusion]) -> bool {
    let count = images.len() as f64;
    if images.len() < 2 || predicted.len() < 2 {
        return false;
    }
    let all: Vec<Vec<f64>> = images.iter().map(|image| shares(image)).collect();
    let reach = quantile(1.0 - FALSE_ALARM / 2.0 / (predicted.len() - 1) as f64, count - 1.0);
    predicted.iter().enumerate().any(|(class, &share)| {
        let mean = all.iter().map(|shares| shares[class]).sum::<f64>() / count;
        let squares = all.iter().map(|shares| (shares[class] - mean).powi(2)).sum::<f64>();
        let variance = squares / (count - 1.0) * (1.0 / fields as f64 + 1.0 / count);
        (share - mean).abs() > reach * variance.sqrt()
    })
}

/// The share of each predicted class.
fn shares(image: &Confusion) -> Vec<f64> {
    let total = image.total() as f64;
    (0..image.classes()).map(|class| image.prediction(class) as f64 / total).collect()
}

/// The sum of products.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
