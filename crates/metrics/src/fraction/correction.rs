//! From the map's area shares to the true ones, by what the model did on validation images.

use super::matrix::inverse;
use crate::Confusion;
use serde::{Deserialize, Serialize};

/// How fractions are corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// By how pixels of each true class were predicted: W_i = Σ_k p_k n_ik / n_k is solved for p (W_i: predicted shares, n_ik:
    /// validation pixels of class k that were predicted as i; Hay 1988, *International Journal of Remote Sensing* 9, 1395). It holds
    /// for specimens of any fractions, so it is the default.
    #[default]
    Inverse,
    /// By which true class pixels of each predicted class had: p_k = Σ_i W_i n_ik / n_i (the stratified estimator of Olofsson et al.
    /// 2013, *Remote Sensing of Environment* 129, 122). Intervals are narrower by about a quarter. But it presumes a specimen
    /// with the fractions of the validation images (in Olofsson's case they are samples of the same map): others are drawn
    /// towards these, by more than the model's own bias, and intervals do not know of it.
    Stratified,
}

/// A linear map from predicted shares to corrected ones: `[true class, predicted class]`.
pub(super) type Weights = Vec<Vec<f64>>;

/// What corrects fractions.
pub(super) struct Corrector<'a> {
    /// Validation images with pixels.
    images: Vec<&'a Confusion>,
    /// From all images.
    pub(super) weights: Weights,
    /// Without one image each; `None` if there is only one, or if the others do not tell some classes from each other.
    without: Option<Vec<Weights>>,
}

impl<'a> Corrector<'a> {
    /// The corrector of `classes` classes. `None` without validation images that have these classes, or if in them the model does
    /// not tell some classes from each other.
    pub(super) fn new(correction: Correction, classes: usize, validation: &'a [Confusion]) -> Option<Self> {
        let suits = |image: &&Confusion| image.classes() == classes && image.total() > 0;
        let images: Vec<&Confusion> = validation.iter().filter(suits).collect();
        let mut all = Confusion::new(classes);
        images.iter().for_each(|image| all.merge(image));
        let weights = |left_out: Option<&Confusion>| {
            let count = |k, i| all.count(k, i) - left_out.map_or(0, |image| image.count(k, i));
            correction.weights(classes, count)
        };
        let without = || images.iter().map(|&image| weights(Some(image))).collect();
        let without = if images.len() > 1 { without() } else { None };
        Some(Corrector { weights: (!images.is_empty()).then(|| weights(None)).flatten()?, without, images })
    }

    /// The variance of the corrected share of the true class `class`, because the validation images are few (jackknife over them),
    /// and the mean squared error of the corrected share in a validation image, corrected by the others. `None` if there are too few images.
    pub(super) fn errors(&self, class: usize, predicted: &[f64]) -> Option<ValidationErrors> {
        let without = self.without.as_ref()?;
        let images = without.len() as f64;
        let values: Vec<f64> = without.iter().map(|weights| dot(&weights[class], predicted)).collect();
        let mean = values.iter().sum::<f64>() / images;
        let jackknife = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() * (images - 1.0) / images;
        let error = |(&image, weights): (&&Confusion, &Weights)| {
            let truth = image.truth(class) as f64 / image.total() as f64;
            (dot(&weights[class], &shares(image)) - truth).powi(2)
        };
        let image = self.images.iter().zip(without).map(error).sum::<f64>() / images;
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

/// The share of each predicted class.
fn shares(image: &Confusion) -> Vec<f64> {
    let total = image.total() as f64;
    (0..image.classes()).map(|class| image.prediction(class) as f64 / total).collect()
}

/// The sum of products.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
