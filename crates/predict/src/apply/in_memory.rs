//! An image that is in memory.

use matssl_data::{DataError, Micrograph, Rows};
use std::ops::Range;

/// An image that was decoded as a whole.
pub struct InMemory(pub Micrograph);

impl Rows for InMemory {
    fn width(&self) -> usize {
        self.0.width
    }

    fn height(&self) -> usize {
        self.0.height
    }

    fn channels(&self) -> usize {
        self.0.channels
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        let line = self.0.width * self.0.channels;
        let pixels = self.0.pixels[rows.start * line..rows.end * line].to_vec();
        Ok(Micrograph { height: rows.len(), pixels, ..self.0 })
    }
}
