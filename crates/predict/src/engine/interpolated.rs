//! Maps at another size of pixels, row by row from top to bottom.

use rayon::prelude::*;
use std::ops::Range;

/// Interpolates a map of several values a pixel (bilinear between the centres of pixels, constant beyond the outermost ones),
/// whose rows come in bands.
pub(super) struct Interpolated {
    /// Pixels across of the source, and values a pixel.
    line: usize,
    values: usize,
    across: Vec<Between>,
    down: Vec<Between>,
    /// The source's rows from `first` on.
    held: Vec<f32>,
    first: usize,
    /// The next row of the result.
    next: usize,
}

/// A position between two pixels of the source.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Between {
    before: usize,
    after: usize,
    /// Weight of `after`.
    weight: f32,
}

/// The centres of `to` pixels, of which each is `factor` of the `from` pixels of the source away from the next.
fn positions(from: usize, to: usize, factor: f64) -> Vec<Between> {
    let last = from - 1;
    let at = |i: usize| {
        // The source's pixel `i` covers what lies between `i` and `i + 1` times the factor of `Resampled`.
        let centre = ((i as f64 + 0.5) * factor - 0.5).clamp(0.0, last as f64);
        let before = (centre as usize).min(last);
        Between { before, after: (before + 1).min(last), weight: (centre - before as f64) as f32 }
    };
    (0..to).map(at).collect()
}

impl Interpolated {
    /// From a map of the size `from` to one of the size `to` (width, height), of whose pixels `factors` (across and down) make
    /// one of the source. `values` a pixel.
    pub(super) fn new(from: (usize, usize), to: (usize, usize), factors: [f64; 2], values: usize) -> Self {
        Interpolated {
            line: from.0 * values,
            values,
            across: positions(from.0, to.0, 1.0 / factors[0]),
            down: positions(from.1, to.1, 1.0 / factors[1]),
            held: Vec::new(),
            first: 0,
            next: 0,
        }
    }

    /// Adds the next rows of the source.
    pub(super) fn push(&mut self, rows: &[f32]) {
        self.held.extend_from_slice(rows);
    }

    /// The rows of the result that are known and were not taken.
    pub(super) fn ready(&self) -> Range<usize> {
        let end = self.first + self.held.len() / self.line.max(1);
        let count = self.down[self.next..].partition_point(|row| row.after < end);
        self.next..self.next + count
    }

    /// Takes the next `most` rows that are [`ready`](Self::ready): `[rows, width, values]`.
    pub(super) fn take(&mut self, most: usize) -> Vec<f32> {
        let ready = self.ready();
        let rows = ready.start..ready.end.min(ready.start + most);
        let (values, line, first) = (self.values, self.line, self.first);
        let mut out = vec![0.0; rows.len() * self.across.len() * values];
        let each = out.par_chunks_mut((self.across.len() * values).max(1)).zip(&self.down[rows.clone()]);
        each.for_each(|(out, row)| {
            let [above, below] = [row.before, row.after].map(|y| &self.held[(y - first) * line..][..line]);
            for (out, column) in out.chunks_exact_mut(values).zip(&self.across) {
                for (value, out) in out.iter_mut().enumerate() {
                    let [left, right] = [column.before, column.after].map(|x| x * values + value);
                    let above = above[left] + column.weight * (above[right] - above[left]);
                    let below = below[left] + column.weight * (below[right] - below[left]);
                    *out = above + row.weight * (below - above);
                }
            }
        });
        self.next = rows.end;
        let needed = self.down.get(self.next).map_or(first, |row| row.before);
        let held_end = first + self.held.len() / line.max(1);
        let dropped = needed.min(held_end) - first;
        self.held.drain(..dropped * line);
        self.first += dropped;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_map_of_twice_the_pixels_is_interpolated_between_centres() {
        let mut map = Interpolated::new((2, 1), (4, 2), [2.0, 2.0], 1);
        map.push(&[0.0, 1.0]);
        assert_eq!(map.ready(), 0..2);
        assert_eq!(map.take(9), [0.0, 0.25, 0.75, 1.0, 0.0, 0.25, 0.75, 1.0]);
        // Half the pixels: the centre of two is their mean.
        let mut map = Interpolated::new((4, 2), (2, 1), [0.5, 0.5], 1);
        map.push(&[0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]);
        assert_eq!(map.take(9), [1.5, 5.5]);
    }

    proptest! {
        /// A plane stays a plane away from the edges, whatever the bands.
        #[test]
        fn bands_are_the_map_at_once(
            (width, height) in (1usize..30, 1usize..30),
            across in 0.3..4.0f64, down in 0.3..4.0f64,
            bands in proptest::collection::vec(1usize..9, 1..40), most in 1usize..20,
        ) {
            let from = |to: usize, factor: f64| ((to as f64 / factor).round() as usize).max(1);
            let source = (from(width, across), from(height, down));
            let value = |x: usize, y: usize| [x as f32, y as f32 * 2.0 + 1.0];
            let rows: Vec<f32> = (0..source.0 * source.1).flat_map(|i| value(i % source.0, i / source.0)).collect();
            let mut map = Interpolated::new(source, (width, height), [across, down], 2);
            let (mut left, mut found) = (&rows[..], Vec::new());
            for band in bands.iter().cycle().take(1000) {
                let (band, rest) = left.split_at((band * source.0 * 2).min(left.len()));
                left = rest;
                map.push(band);
                while !map.ready().is_empty() {
                    found.extend(map.take(most));
                }
            }
            prop_assert_eq!(found.len(), width * height * 2);
            for (i, pair) in found.as_chunks::<2>().0.iter().enumerate() {
                let at = |i: usize, factor: f64, from: usize| (((i as f64 + 0.5) / factor) - 0.5).clamp(0.0, from as f64 - 1.0);
                let (x, y) = (at(i % width, across, source.0), at(i / width, down, source.1));
                prop_assert!((f64::from(pair[0]) - x).abs() < 1e-4 && (f64::from(pair[1]) - 2.0 * y - 1.0).abs() < 1e-4);
            }
        }
    }
}
