//! An image whose rows are read in any order, so that it need not be in memory.

use crate::{DataError, Micrograph};
use std::ops::Range;

/// An image whose rows can be read, 8 bits a channel.
pub trait Rows: Send {
    /// Pixels across.
    fn width(&self) -> usize;
    /// Pixels down.
    fn height(&self) -> usize;
    /// Channels of [`Rows::rows`]: 1 is grey, 3 are RGB, or what the options pick.
    fn channels(&self) -> usize;
    /// The rows `rows`, as an image of that height. Any order is allowed; downwards is fast.
    ///
    /// # Errors
    /// The file is damaged there, or cannot be read.
    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError>;
}

/// An image in memory.
impl Rows for Micrograph {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        let line = self.width * self.channels;
        let pixels = self.pixels[rows.start * line..rows.end * line].to_vec();
        Ok(Micrograph { width: self.width, height: rows.len(), channels: self.channels, pixels })
    }
}

impl<R: Rows + ?Sized> Rows for Box<R> {
    fn width(&self) -> usize {
        (**self).width()
    }

    fn height(&self) -> usize {
        (**self).height()
    }

    fn channels(&self) -> usize {
        (**self).channels()
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        (**self).rows(rows)
    }
}

impl<R: Rows + ?Sized> Rows for &mut R {
    fn width(&self) -> usize {
        (**self).width()
    }

    fn height(&self) -> usize {
        (**self).height()
    }

    fn channels(&self) -> usize {
        (**self).channels()
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        (**self).rows(rows)
    }
}
