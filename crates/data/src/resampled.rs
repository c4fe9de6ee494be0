//! Rows at another size of pixels, in bounded memory.

use crate::resample::{self, Resampler};
use crate::{DataError, Micrograph, Rows};
use std::ops::Range;

/// Bytes of the source's rows that are read at once, if more are asked for.
const AT_ONCE: usize = 16 << 20;

/// Rows of another image at another size of pixels: the values that the data sets' `resample` gives, of any rows.
#[derive(Debug)]
pub struct Resampled<R> {
    source: R,
    resampler: Resampler,
    size: (usize, usize),
}

impl<R: Rows> Resampled<R> {
    /// `source`, of whose pixels `factors` (across and down, more than 0) make one. More than 1 makes images smaller: the area
    /// is averaged. Less makes them larger: cubic interpolation.
    ///
    /// A side has as many pixels as [`Resampled::length`] gives: 0 where less than half a pixel would be left.
    pub fn new(source: R, factors: [f64; 2]) -> Self {
        let from = (source.width(), source.height());
        let size = (Self::length(from.0, factors[0]), Self::length(from.1, factors[1]));
        Resampled { source, resampler: Resampler::new(from, factors, size), size }
    }

    /// Pixels along a side, of `from` pixels before.
    pub fn length(from: usize, factor: f64) -> usize {
        resample::length(from, factor)
    }

    /// The image before.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// How many rows from `start` on are made of few rows of the source.
    fn few(&self, rows: &Range<usize>) -> usize {
        let most = (AT_ONCE / (self.source.width() * self.source.channels()).max(1)).max(1);
        let count = |end: &usize| self.resampler.sources(rows.start..*end).len();
        let mut end = rows.end;
        while end > rows.start + 1 && count(&end) > most {
            end = rows.start + (end - rows.start) / 2;
        }
        end
    }
}

impl<R: Rows> Rows for Resampled<R> {
    fn width(&self) -> usize {
        self.size.0
    }

    fn height(&self) -> usize {
        self.size.1
    }

    fn channels(&self) -> usize {
        self.source.channels()
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        let (width, channels) = (self.size.0, self.channels());
        let mut pixels = Vec::with_capacity(rows.len() * width * channels);
        let mut left = rows.clone();
        while !left.is_empty() {
            let end = self.few(&left);
            let sources = self.resampler.sources(left.start..end);
            let source = self.source.rows(sources.clone())?;
            pixels.extend(self.resampler.rows(&source, sources.start, left.start..end).pixels);
            left.start = end;
        }
        Ok(Micrograph { width, height: rows.len(), channels, pixels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Bit for bit what the whole image gives, for any rows in any order.
        #[test]
        fn rows_are_those_of_the_whole_resampled_image(
            (width, height) in (1usize..70, 1usize..70),
            channels in prop_oneof![Just(1usize), Just(3)],
            across in 0.2..4.0f64,
            down in prop_oneof![Just(1.0), 0.2..4.0f64],
            seed: u32,
            cuts in proptest::collection::vec((0.0..1.0f64, 0.0..1.0f64), 1..5),
        ) {
            let pixel = |i: usize| (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed).rotate_left(9) as u8;
            let pixels = (0..width * height * channels).map(pixel).collect();
            let image = Micrograph { width, height, channels, pixels };
            let mut resampled = Resampled::new(image.clone(), [across, down]);
            let to = (resampled.width(), resampled.height());
            prop_assume!(to.0 > 0 && to.1 > 0);
            let whole = image.resample([across, down], to);
            prop_assert_eq!(&resampled.rows(0..to.1).unwrap(), &whole);
            for (a, b) in cuts {
                let (a, b) = ((a * to.1 as f64) as usize, (b * to.1 as f64) as usize);
                let range = a.min(b)..a.max(b) + 1;
                let line = to.0 * channels;
                let rows = resampled.rows(range.clone()).unwrap();
                prop_assert_eq!((rows.width, rows.height, rows.channels), (to.0, range.len(), channels));
                prop_assert_eq!(&rows.pixels[..], &whole.pixels[range.start * line..range.end * line]);
            }
        }
    }

    /// An image of 2,000,000 × 8 pixels that knows how many rows were read at once.
    struct Wide(usize);

    impl Rows for Wide {
        fn width(&self) -> usize {
            2_000_000
        }

        fn height(&self) -> usize {
            64
        }

        fn channels(&self) -> usize {
            1
        }

        fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
            self.0 = self.0.max(rows.len());
            let (width, height) = (self.width(), rows.len());
            Ok(Micrograph { width, height, channels: 1, pixels: vec![7; width * height] })
        }
    }

    #[test]
    fn many_rows_are_made_of_a_few_rows_of_the_source_at_once() {
        let mut small = Resampled::new(Wide(0), [1000.0, 2.0]);
        let rows = small.rows(0..32).unwrap();
        assert_eq!((rows.width, rows.height), (2000, 32));
        assert!(rows.pixels.iter().all(|&value| value == 7));
        assert_eq!(small.source().0, 8, "16 MiB are 8 rows");
    }
}
