//! Shares of pixels: accuracy, precision, recall.

use super::confusion::{Confusion, ratio};

impl Confusion {
    /// Share of all counted pixels that were predicted as their true class (ignored *classes* included); `None` without pixels.
    pub fn pixel_accuracy(&self) -> Option<f64> {
        ratio((0..self.classes()).map(|class| self.count(class, class)).sum(), self.total())
    }

    /// Share of the pixels predicted as class `class` that belong to it; `None` if there are none.
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.prediction(class))
    }

    /// Share of the pixels of class `class` that were predicted as it; `None` if there are none.
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.truth(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 0, 1], &[0, 0, 1, 1], None).unwrap();
        assert_eq!(confusion.pixel_accuracy(), Some(0.75));
        assert_eq!(
            [confusion.precision(0), confusion.precision(1), confusion.precision(2)],
            [Some(1.0), Some(0.5), None]
        );
        assert_eq!([confusion.recall(0), confusion.recall(1), confusion.recall(2)], [Some(2.0 / 3.0), Some(1.0), None]);
        assert_eq!(Confusion::new(2).pixel_accuracy(), None);
    }
}
