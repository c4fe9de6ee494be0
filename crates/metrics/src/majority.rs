//! The baseline: predict the most frequent class everywhere.

use super::Confusion;

/// The most frequent class of the training masks, from each class's number of pixels there; the lowest of equally frequent ones,
/// `None` without pixels.
pub fn majority(train_class_pixels: &[u64]) -> Option<usize> {
    let most = *train_class_pixels.iter().max()?;
    (most > 0).then(|| train_class_pixels.iter().position(|&pixels| pixels == most)).flatten()
}

impl Confusion {
    /// The matrix on the same pixels if all of them were predicted as `class`.
    pub(crate) fn constant(&self, class: usize) -> Confusion {
        let mut constant = Confusion::new(self.classes());
        for truth in 0..self.classes() {
            *constant.count_mut(truth, class) = self.truth(truth);
        }
        constant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_frequent_then_lowest() {
        assert_eq!(majority(&[3, 9, 9, 1]), Some(1));
        assert_eq!(majority(&[0, 0]), None);
        assert_eq!(majority(&[]), None);
    }

    #[test]
    fn a_constant_answer_by_hand() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 0, 1], &[2, 1, 0, 1], None).unwrap();
        let mut expected = Confusion::new(3);
        expected.add(&[0, 0, 0, 1], &[0, 0, 0, 0], None).unwrap();
        let constant = confusion.constant(0);
        assert_eq!(constant, expected);
        assert_eq!((constant.iou(0), constant.iou(1), constant.iou(2)), (Some(0.75), Some(0.0), None));
        assert_eq!(constant.miou(&[]), Some(0.375));
    }
}
