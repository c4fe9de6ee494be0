//! An image whose rows are looked at while they are read for the prediction, so that no file is decoded twice.

use matssl_data::{DataError, Micrograph, Rows};
use std::ops::Range;

/// Rows read at a time where the prediction did not read them.
const ROWS: usize = 64;

/// Hands on the rows of an image, and shows each row once, from top to bottom, to `seen`.
pub struct Watched<'a> {
    image: &'a mut dyn Rows,
    seen: &'a mut (dyn FnMut(&Micrograph) + Send),
    /// Number of rows that were shown.
    rows: usize,
}

impl<'a> Watched<'a> {
    /// Of `image`.
    pub fn new(image: &'a mut dyn Rows, seen: &'a mut (dyn FnMut(&Micrograph) + Send)) -> Self {
        Watched { image, seen, rows: 0 }
    }

    /// Shows the rows that were not read.
    ///
    /// # Errors
    /// Those of the image.
    pub fn finish(mut self) -> Result<(), DataError> {
        while self.rows < self.image.height() {
            let end = (self.rows + ROWS).min(self.image.height());
            self.rows(self.rows..end)?;
        }
        Ok(())
    }

    /// Shows those of the rows from `start` on that were not shown yet, if no row before them is missing.
    fn show(&mut self, start: usize, rows: &Micrograph) {
        let end = start + rows.height;
        if start > self.rows || end <= self.rows {
            return;
        }
        if start == self.rows {
            (self.seen)(rows);
        } else {
            let skipped = (self.rows - start) * rows.width * rows.channels;
            let pixels = rows.pixels[skipped..].to_vec();
            (self.seen)(&Micrograph { height: end - self.rows, pixels, ..*rows });
        }
        self.rows = end;
    }
}

impl Rows for Watched<'_> {
    fn width(&self) -> usize {
        self.image.width()
    }

    fn height(&self) -> usize {
        self.image.height()
    }

    fn channels(&self) -> usize {
        self.image.channels()
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        let start = rows.start;
        let read = self.image.rows(rows)?;
        self.show(start, &read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbered;

    impl Rows for Numbered {
        fn width(&self) -> usize {
            1
        }
        fn height(&self) -> usize {
            100
        }
        fn channels(&self) -> usize {
            1
        }
        fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
            Ok(Micrograph { width: 1, height: rows.len(), channels: 1, pixels: rows.map(|row| row as u8).collect() })
        }
    }

    #[test]
    fn each_row_is_shown_once_in_order_however_it_is_read() {
        for reads in [vec![0..10, 5..20, 0..3, 18..100], vec![], vec![50..60, 0..40], vec![0..100, 0..100]] {
            let (mut image, mut shown) = (Numbered, Vec::new());
            let mut seen = |rows: &Micrograph| shown.extend_from_slice(&rows.pixels);
            let mut watched = Watched::new(&mut image, &mut seen);
            for read in reads.clone() {
                watched.rows(read).unwrap();
            }
            watched.finish().unwrap();
            assert_eq!(shown, (0..100).collect::<Vec<u8>>(), "{reads:?}");
        }
    }
}
