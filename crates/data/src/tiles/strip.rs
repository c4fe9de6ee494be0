//! The rows of an image that the current tiles are cut from.

use crate::{DataError, Micrograph, Rows};
use std::ops::Range;

/// A moving window of rows. Each row is read once.
pub struct Strip<'a> {
    image: &'a mut dyn Rows,
    rows: Micrograph,
    first: usize,
}

impl<'a> Strip<'a> {
    /// A window without rows at the top of `image`.
    pub fn new(image: &'a mut dyn Rows) -> Self {
        let rows = Micrograph { width: image.width(), height: 0, channels: image.channels(), pixels: Vec::new() };
        Strip { image, rows, first: 0 }
    }

    /// Moves the window down, so that it holds `rows`: drops those above, reads those that are new.
    ///
    /// # Errors
    /// If the rows cannot be read.
    ///
    /// # Panics
    /// If that is up.
    pub fn hold(&mut self, rows: Range<usize>) -> Result<(), DataError> {
        assert!(rows.start >= self.first, "a strip moves down only");
        let line = self.rows.width * self.rows.channels;
        let dropped = (rows.start - self.first).min(self.rows.height);
        self.rows.pixels.drain(..dropped * line);
        self.rows.height -= dropped;
        self.first = rows.start;
        let next = self.first + self.rows.height;
        if next < rows.end {
            let mut new = self.image.rows(next..rows.end)?;
            self.rows.height += new.height;
            self.rows.pixels.append(&mut new.pixels);
        }
        Ok(())
    }

    /// The rows that are held, as an image of that height.
    pub fn rows(&self) -> &Micrograph {
        &self.rows
    }

    /// Where the first of them lies in the image.
    pub fn first(&self) -> usize {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::RowsInMemory;

    /// Counts how often each row is read.
    struct Counted<'a>(RowsInMemory<'a>, &'a mut Vec<usize>);

    impl Rows for Counted<'_> {
        fn width(&self) -> usize {
            self.0.width()
        }
        fn height(&self) -> usize {
            self.0.height()
        }
        fn channels(&self) -> usize {
            self.0.channels()
        }
        fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
            rows.clone().for_each(|row| self.1[row] += 1);
            self.0.rows(rows)
        }
    }

    #[test]
    fn a_strip_holds_what_was_asked_for_and_reads_each_row_once() {
        let image = Micrograph { width: 2, height: 9, channels: 3, pixels: (0..54).collect() };
        let mut counts = vec![0; 9];
        let mut rows = Counted(RowsInMemory(&image), &mut counts);
        let mut strip = Strip::new(&mut rows);
        for range in [0..4, 0..4, 3..5, 4..6, 8..9] {
            strip.hold(range.clone()).unwrap();
            assert_eq!((strip.first(), strip.rows().height), (range.start, range.len()));
            assert_eq!(strip.rows().pixels, image.pixels[6 * range.start..6 * range.end]);
        }
        assert_eq!(counts, [1, 1, 1, 1, 1, 1, 0, 0, 1]);
    }
}
