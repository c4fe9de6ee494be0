//! The confusion matrix.

use serde::{Deserialize, Serialize};

/// Labels that cannot be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// Truth and prediction have different sizes.
    #[error("the truth has {truth} pixels, the prediction {prediction}")]
    Size {
        /// Number of pixels of the truth.
        truth: usize,
        /// Number of pixels of the prediction.
        prediction: usize,
    },
    /// A label that is no class.
    #[error("label {label} in the {side}, but there are {classes} classes (0 to {})", classes - 1)]
    Label {
        /// The label.
        label: u8,
        /// `"truth"` or `"prediction"`.
        side: &'static str,
        /// Number of classes.
        classes: usize,
    },
}

/// Number of pixels of each true class that were predicted as each class. [`add`](Self::add) and [`merge`](Self::merge) add to
/// it. The scores are methods in other files of this crate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<u64>>", into = "Vec<Vec<u64>>")]
pub struct Confusion {
    classes: usize,
    /// `[truth, prediction]`, row-major.
    counts: Vec<u64>,
}

impl From<Confusion> for Vec<Vec<u64>> {
    fn from(confusion: Confusion) -> Self {
        confusion.counts.chunks(confusion.classes.max(1)).map(<[u64]>::to_vec).collect()
    }
}

impl TryFrom<Vec<Vec<u64>>> for Confusion {
    type Error = String;

    fn try_from(rows: Vec<Vec<u64>>) -> Result<Self, String> {
        let classes = rows.len();
        let is_square = rows.iter().all(|row| row.len() == classes);
        let counts = rows.into_iter().flatten().collect();
        is_square.then_some(Confusion { classes, counts }).ok_or_else(|| "a confusion matrix that is not square".into())
    }
}

impl Confusion {
    /// An empty matrix for labels `0..classes`.
    pub fn new(classes: usize) -> Self {
        Confusion { classes, counts: vec![0; classes * classes] }
    }

    /// A matrix with `counts` `[truth, prediction]`, row-major; `None` if their number is not `classes²`.
    pub fn from_counts(classes: usize, counts: Vec<u64>) -> Option<Self> {
        (counts.len() == classes * classes).then_some(Confusion { classes, counts })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of pixels of class `truth` that were predicted as class `prediction`.
    pub fn count(&self, truth: usize, prediction: usize) -> u64 {
        self.counts[truth * self.classes + prediction]
    }

    pub(super) fn count_mut(&mut self, truth: usize, prediction: usize) -> &mut u64 {
        &mut self.counts[truth * self.classes + prediction]
    }

    /// Number of pixels of class `class` in the truth.
    pub fn truth(&self, class: usize) -> u64 {
        (0..self.classes).map(|prediction| self.count(class, prediction)).sum()
    }

    /// Number of pixels that were predicted as class `class`.
    pub fn prediction(&self, class: usize) -> u64 {
        (0..self.classes).map(|truth| self.count(truth, class)).sum()
    }

    /// Number of all counted pixels.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts the pixels of one image. `truth` and `prediction` have the same order of pixels, whichever it is. Pixels whose
    /// *truth* is `ignore` are left out.
    ///
    /// # Errors
    /// If the sizes differ or a label is no class. Then nothing is counted.
    pub fn add(&mut self, truth: &[u8], prediction: &[u8], ignore: Option<u8>) -> Result<(), MetricError> {
        if truth.len() != prediction.len() {
            return Err(MetricError::Size { truth: truth.len(), prediction: prediction.len() });
        }
        // First all pairs of bytes are counted: the loop over the pixels has no branch, and a wrong label is found in time.
        let mut pairs = vec![0u64; 256 * 256];
        for (&t, &p) in truth.iter().zip(prediction) {
            pairs[usize::from(t) << 8 | usize::from(p)] += 1;
        }
        let seen = |t: u8, p: u8| pairs[usize::from(t) << 8 | usize::from(p)];
        let labels = || (0..=u8::MAX).filter(move |&t| Some(t) != ignore);
        for t in labels() {
            for p in 0..=u8::MAX {
                if seen(t, p) == 0 {
                    continue;
                }
                for (label, side) in [(t, "truth"), (p, "prediction")] {
                    if usize::from(label) >= self.classes {
                        return Err(MetricError::Label { label, side, classes: self.classes });
                    }
                }
            }
        }
        let classes = self.classes;
        for t in labels().filter(|&t| usize::from(t) < classes) {
            for p in (0..=u8::MAX).filter(|&p| usize::from(p) < classes) {
                *self.count_mut(usize::from(t), usize::from(p)) += seen(t, p);
            }
        }
        Ok(())
    }

    /// Adds the counts of another matrix over the same classes.
    pub fn merge(&mut self, other: &Confusion) {
        debug_assert_eq!(self.classes, other.classes, "matrices over different classes");
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The mean of `score` over the classes that are not in `ignore` and have a score; `None` if there is none.
    pub(super) fn mean_over_classes(&self, ignore: &[u8], score: impl Fn(usize) -> Option<f64>) -> Option<f64> {
        let scores: Vec<f64> =
            (0..self.classes).filter(|&c| !ignore.iter().any(|&i| usize::from(i) == c)).filter_map(score).collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    }
}

/// `part / total`, or `None` if `total` is 0.
pub(super) fn ratio(part: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| part as f64 / total as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_counted_and_pixels_with_ignored_truth_left_out() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 1, 2, 255, 255], &[0, 1, 1, 0, 0, 7], Some(255)).unwrap();
        let rows: Vec<Vec<u64>> = (0..3).map(|t| (0..3).map(|p| confusion.count(t, p)).collect()).collect();
        assert_eq!(rows, [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
        assert_eq!((confusion.total(), confusion.truth(0), confusion.prediction(1)), (4, 2, 2));
    }

    #[test]
    fn a_label_that_is_no_class_is_refused_and_nothing_is_counted() {
        let mut confusion = Confusion::new(2);
        let error = confusion.add(&[0, 1, 3], &[0, 1, 1], None).unwrap_err();
        assert_eq!(error.to_string(), "label 3 in the truth, but there are 2 classes (0 to 1)");
        assert!(confusion.add(&[0], &[2], None).unwrap_err().to_string().contains("label 2 in the prediction"));
        assert!(matches!(confusion.add(&[0], &[], None), Err(MetricError::Size { truth: 1, prediction: 0 })));
        assert_eq!(confusion.total(), 0);
    }

    prop_compose! {
        fn pixels()(pairs in prop::collection::vec((0u8..4, 0u8..4), 0..200)) -> (Vec<u8>, Vec<u8>) {
            pairs.into_iter().unzip()
        }
    }

    fn confusion(truth: &[u8], prediction: &[u8]) -> Confusion {
        let mut confusion = Confusion::new(4);
        confusion.add(truth, prediction, None).unwrap();
        confusion
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn merging_is_counting_the_concatenation(a in pixels(), b in pixels()) {
            let mut merged = confusion(&a.0, &a.1);
            merged.merge(&confusion(&b.0, &b.1));
            prop_assert_eq!(merged, confusion(&[a.0, b.0].concat(), &[a.1, b.1].concat()));
        }

        #[test]
        fn the_order_of_the_pixels_does_not_matter(a in pixels(), turn in 0usize..200) {
            let (mut truth, mut prediction) = a.clone();
            if !truth.is_empty() {
                let turn = turn % truth.len();
                truth.rotate_left(turn);
                prediction.rotate_left(turn);
                truth.reverse();
                prediction.reverse();
            }
            prop_assert_eq!(confusion(&truth, &prediction), confusion(&a.0, &a.1));
        }

        #[test]
        fn scores_are_shares_and_dice_is_never_below_iou(a in pixels()) {
            let confusion = confusion(&a.0, &a.1);
            for class in 0..4 {
                prop_assert_eq!(confusion.iou(class).is_none(), !a.0.contains(&(class as u8)) && !a.1.contains(&(class as u8)));
                if let (Some(iou), Some(dice)) = (confusion.iou(class), confusion.dice(class)) {
                    prop_assert!((0.0..=1.0).contains(&iou) && (iou..=1.0).contains(&dice));
                    prop_assert!((dice - 2.0 * iou / (1.0 + iou)).abs() < 1e-12);
                }
            }
            for score in [confusion.miou(&[]), confusion.mean_dice(&[1]), confusion.pixel_accuracy()].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&score));
            }
        }

        #[test]
        fn renaming_the_classes_renames_the_scores(a in pixels(), shift in 0u8..4) {
            let renamed = |labels: &[u8]| labels.iter().map(|l| (l + shift) % 4).collect::<Vec<u8>>();
            let (before, after) = (confusion(&a.0, &a.1), confusion(&renamed(&a.0), &renamed(&a.1)));
            for class in 0..4 {
                prop_assert_eq!(before.iou(class), after.iou((class + usize::from(shift)) % 4));
            }
            prop_assert_eq!(before.pixel_accuracy(), after.pixel_accuracy());
        }

        #[test]
        fn a_perfect_prediction_scores_one(a in pixels()) {
            let confusion = confusion(&a.0, &a.0);
            for score in [confusion.miou(&[]), confusion.mean_dice(&[]), confusion.pixel_accuracy()] {
                prop_assert_eq!(score, (!a.0.is_empty()).then_some(1.0));
            }
        }
    }
}
