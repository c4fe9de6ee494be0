//! The rows of an image in memory.

use crate::{DataError, Micrograph, Rows};
use std::ops::Range;

/// Reads the rows of an image in memory.
#[derive(Debug)]
pub struct RowsInMemory<'a>(pub &'a Micrograph);

impl Rows for RowsInMemory<'_> {
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
        let Micrograph { width, channels, .. } = *self.0;
        let line = width * channels;
        let pixels = self.0.pixels[rows.start * line..rows.end * line].to_vec();
        Ok(Micrograph { width, height: rows.len(), channels, pixels })
    }
}
