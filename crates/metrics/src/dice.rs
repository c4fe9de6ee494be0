//! The Dice coefficient, for two classes also called F1: 2 TP / (2 TP + FP + FN).

use super::confusion::{Confusion, ratio};

impl Confusion {
    /// Twice the number of pixels of class `class` in both truth and prediction, over the sum of their numbers in each; `None` if
    /// there are none.
    pub fn dice(&self, class: usize) -> Option<f64> {
        ratio(2 * self.count(class, class), self.truth(class) + self.prediction(class))
    }

    /// The mean of [`dice`](Self::dice) over the same classes as [`miou`](Self::miou).
    pub fn mean_dice(&self, ignore: &[u8]) -> Option<f64> {
        self.mean_over_classes(ignore, |class| self.dice(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 0, 1, 1], &[0, 0, 1, 0, 1], None).unwrap();
        assert_eq!([confusion.dice(0), confusion.dice(1), confusion.dice(2)], [Some(4.0 / 6.0), Some(0.5), None]);
        assert_eq!(confusion.mean_dice(&[]), Some((4.0 / 6.0 + 0.5) / 2.0));
    }
}
