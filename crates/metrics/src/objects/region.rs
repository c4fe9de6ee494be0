//! The moments of a set of pixels, from its runs.

use super::Object;
use std::f64::consts::PI;

/// Sums over the pixels of a set. They are integers, so their order does not matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    /// Row and column of the first pixel in the order of rows.
    pub(super) first: (usize, usize),
    area: u64,
    /// Sums of the columns and of the rows.
    sums: [u128; 2],
    /// Sums of the squared columns, of the squared rows, and of column times row.
    squares: [u128; 3],
    pub(super) touches_edge: bool,
}

impl Region {
    /// The pixels of `row` in the columns `from..to`.
    pub(super) fn run(row: usize, from: usize, to: usize, touches_edge: bool) -> Self {
        let [y, a, b] = [row, from, to].map(|value| value as u128);
        let below = |n: u128| if n == 0 { 0 } else { (n - 1) * n * (2 * n - 1) / 6 };
        let columns = (a + b - 1) * (b - a) / 2;
        Region {
            first: (row, from),
            area: (to - from) as u64,
            sums: [columns, y * (b - a)],
            squares: [below(b) - below(a), y * y * (b - a), y * columns],
            touches_edge,
        }
    }

    /// Both sets together. They have no pixel in common.
    pub(super) fn merge(&mut self, other: &Region) {
        self.first = self.first.min(other.first);
        self.area += other.area;
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, more)| *sum += more);
        self.squares.iter_mut().zip(other.squares).for_each(|(sum, more)| *sum += more);
        self.touches_edge |= other.touches_edge;
    }

    /// The object, with pixels of the size `[across, down]`. Its nearest neighbour is not known yet.
    pub(super) fn object(&self, [across, down]: [f64; 2]) -> Object {
        let area = self.area as f64;
        // Exact integers up to here, so that far from the origin no digit is lost.
        let central = |squares: u128, sums: u128| {
            let n = u128::from(self.area);
            (n * squares).abs_diff(sums) as f64 / (area * area)
        };
        let [x, y] = self.sums;
        let xx = (central(self.squares[0], x * x) + 1.0 / 12.0) * across * across;
        let yy = (central(self.squares[1], y * y) + 1.0 / 12.0) * down * down;
        // Its sign does not matter for the axes.
        let xy = central(self.squares[2], x * y) * across * down;
        let (mean, half) = ((xx + yy) / 2.0, ((xx - yy) / 2.0).hypot(xy));
        // The product of the eigenvalues over the larger one: their difference would lose digits for thin objects.
        let (larger, smaller) = (mean + half, (xx * yy - xy * xy) / (mean + half));
        Object {
            area: self.area,
            centroid: [x as f64 / area * across, y as f64 / area * down],
            equivalent_diameter: (4.0 * area * across * down / PI).sqrt(),
            aspect_ratio: (larger / smaller).sqrt().max(1.0),
            nearest: None,
            touches_edge: self.touches_edge,
        }
    }
}
