//! Intersection over union, also called the Jaccard index: TP / (TP + FP + FN).

use super::confusion::{Confusion, ratio};

impl Confusion {
    /// Number of pixels of class `class` in both truth and prediction, over the number in either; `None` if there are none.
    pub fn iou(&self, class: usize) -> Option<f64> {
        let both = self.count(class, class);
        ratio(both, self.truth(class) + self.prediction(class) - both)
    }

    /// mIoU: the mean of [`iou`](Self::iou) over the classes that are not in `ignore` and occur in truth or
    /// prediction; `None` if there is no such class. Pixels of an ignored class still count as false positives of the class
    /// that they were predicted as, as in the authors' evaluation of MetalDAM without its class 3.
    pub fn miou(&self, ignore: &[u8]) -> Option<f64> {
        self.mean_over_classes(ignore, |class| self.iou(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Class 0: 2 right, 1 missed, 1 false → 2/4. Class 1: 1 right, 1 missed, 1 false → 1/3. Class 2 nowhere.
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 0, 1, 1], &[0, 0, 1, 0, 1], None).unwrap();
        assert_eq!([confusion.iou(0), confusion.iou(1), confusion.iou(2)], [Some(0.5), Some(1.0 / 3.0), None]);
        assert_eq!(confusion.miou(&[]), Some((0.5 + 1.0 / 3.0) / 2.0));
        assert_eq!(confusion.miou(&[0]), Some(1.0 / 3.0));
        assert_eq!(confusion.miou(&[0, 1]), None);
    }

    #[test]
    fn pixels_of_an_ignored_class_count_as_false_positives_of_others() {
        let mut confusion = Confusion::new(2);
        confusion.add(&[0, 0, 1, 1], &[0, 0, 0, 0], None).unwrap();
        assert_eq!(confusion.miou(&[1]), Some(0.5));
    }
}
