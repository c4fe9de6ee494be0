//! The masks of one class in truth and prediction.

/// Truth and prediction of one image, of the same size.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) truth: &'a [u8],
    pub(super) prediction: &'a [u8],
    /// The label of pixels without a known class.
    pub(super) ignore: Option<u8>,
}

impl Known<'_> {
    /// The pixels of `class` in the truth and in the prediction; `None` if neither has one. Pixels without a known class are in none.
    pub(super) fn masks(&self, class: u8) -> Option<[Vec<bool>; 2]> {
        let truth: Vec<bool> = self.truth.iter().map(|&label| label == class).collect();
        let is_known = |label: u8| Some(label) != self.ignore;
        let pairs = self.truth.iter().zip(self.prediction);
        let prediction: Vec<bool> = pairs.map(|(&truth, &label)| label == class && is_known(truth)).collect();
        let any = truth.iter().chain(&prediction).any(|&pixel| pixel);
        any.then_some([truth, prediction])
    }
}

/// The mean of the scores of the classes that are not in `ignored`.
pub(super) fn mean(scores: &[Option<f64>], ignored: &[u8]) -> Option<f64> {
    let counted = scores.iter().enumerate().filter(|(class, _)| !ignored.iter().any(|&i| usize::from(i) == *class));
    let counted: Vec<f64> = counted.filter_map(|(_, score)| *score).collect();
    (!counted.is_empty()).then(|| counted.iter().sum::<f64>() / counted.len() as f64)
}
