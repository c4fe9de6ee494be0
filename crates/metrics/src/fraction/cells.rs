//! How much the fraction of a class in one field varies by chance, from the field's own pieces.

use super::BlockCounts;
use super::spread::Spread;

/// Numbers of cells into which a field is divided, about.
const LEVELS: [usize; 3] = [16, 64, 256];

/// Smallest number of cells.
const LEAST_CELLS: usize = 4;

/// Ratio of two estimates of the variance of the field's mean, from 64 cells and from 256, above which the structure is too coarse
/// for 256: neighbouring cells depend on each other.
const TOO_COARSE: f64 = 1.8;

/// Correlation that is assumed between the estimates of two levels.
const CORRELATION: f64 = 0.5;

/// A field, divided into cells.
struct Level {
    /// By cell: pixels of each class.
    counts: Vec<Vec<f64>>,
    /// Mean of 1 / width and 1 / height of a cell.
    boundary: f64,
}

/// A field, divided several times: each time into more cells.
///
/// The variance of the mean over a field is estimated from the variance S² between n cells, as in the block bootstrap: its
/// variance over all resamples is S² (n − 1) / n², so nothing needs to be drawn. Two things are added. Few cells get
/// Student's t. And neighbouring cells depend on each other, so that S² / n is too small for coarse structures; for a process of
/// short range, the variance of the mean over a cell of area A and sides w and h is (C − D (1/w + 1/h) / 2) / A. Two levels give
/// C and D, and these the variance of the whole field. The finest two levels are used unless they disagree much.
pub(super) struct Cells {
    levels: Vec<Level>,
    boundary: f64,
}

impl Cells {
    /// Divides `field`.
    pub(super) fn new(field: &BlockCounts) -> Self {
        let (width, height) = (field.size.0.max(1) as f64, field.size.1.max(1) as f64);
        let grid = [field.size.0.div_ceil(field.side), field.size.1.div_ceil(field.side)];
        let mut shapes: Vec<[usize; 2]> = Vec::new();
        for cells in LEVELS {
            let across = ((cells as f64 * width / height).sqrt().round() as usize).clamp(1, cells);
            let shape = [across, (cells as f64 / across as f64).round() as usize];
            if shape[0] <= grid[0] && shape[1] <= grid[1] {
                shapes.push(shape);
            }
        }
        if shapes.is_empty() && grid[0] * grid[1] >= LEAST_CELLS {
            shapes.push(grid);
        }
        let boundary = |[across, down]: [usize; 2]| (across as f64 / width + down as f64 / height) / 2.0;
        let level = |shape: [usize; 2]| {
            let mut counts = vec![vec![0.0; field.classes]; shape[0] * shape[1]];
            for (block, pixels) in field.counts.chunks_exact(field.classes).enumerate() {
                let (column, row) = (block % grid[0], block / grid[0]);
                let cell = row * shape[1] / grid[1] * shape[0] + column * shape[0] / grid[0];
                counts[cell].iter_mut().zip(pixels).for_each(|(sum, &pixels)| *sum += pixels as f64);
            }
            Level { counts, boundary: boundary(shape) }
        };
        Cells { levels: shapes.into_iter().map(level).collect(), boundary: boundary([1, 1]) }
    }

    /// The variance of the mean over the field of a measure that has the value `weights[class]` in a pixel of a class. `None` if
    /// there are too few cells.
    pub(super) fn spread(&self, weights: &[f64]) -> Option<Spread> {
        let levels: Vec<(usize, f64, f64)> =
            self.levels.iter().map(|level| (level.counts.len(), level.variance(weights), level.boundary)).collect();
        let mean = |&(cells, variance, _): &(usize, f64, f64)| variance / cells as f64;
        match levels.as_slice() {
            [] => None,
            [one] => Some(Spread { variance: mean(one), freedom: (one.0 - 1) as f64 }),
            [coarse, middle, fine] if mean(middle) < TOO_COARSE * mean(fine) && coarse.0 < middle.0 => {
                Some(self.extrapolated(*middle, *fine))
            }
            [coarse, fine, ..] => Some(self.extrapolated(*coarse, *fine)),
        }
    }

    /// From two levels: number of cells, variance between them, boundary.
    fn extrapolated(&self, coarse: (usize, f64, f64), fine: (usize, f64, f64)) -> Spread {
        // E S² = n C − D n / (n − 1) (n s − S) with the boundaries s of a cell and S of the field; C and D are for the field's area.
        let terms = |(cells, _, boundary): (usize, f64, f64)| {
            let n = cells as f64;
            (n, -n / (n - 1.0) * (n * boundary - self.boundary))
        };
        let ((a, b), (c, d)) = (terms(coarse), terms(fine));
        let determinant = a * d - c * b;
        // Of the two variances, in C − D S.
        let factors = [(d + c * self.boundary) / determinant, -(b + a * self.boundary) / determinant];
        let parts = [factors[0] * coarse.1, factors[1] * fine.1];
        // Dependence between cells is not negative in the structures of interest.
        let variance = (parts[0] + parts[1]).max(coarse.1 / a);
        let [x, y] = [parts[0] * (2.0 / (a - 1.0)).sqrt(), parts[1] * (2.0 / (c - 1.0)).sqrt()];
        let uncertain = x * x + y * y + 2.0 * CORRELATION * x * y;
        let freedom = if uncertain > 0.0 { 2.0 * variance * variance / uncertain } else { a - 1.0 };
        Spread { variance, freedom: freedom.clamp(1.0, c - 1.0) }
    }
}

impl Level {
    /// The variance between the cells, with weights by their pixels.
    fn variance(&self, weights: &[f64]) -> f64 {
        let pixels: Vec<f64> = self.counts.iter().map(|cell| cell.iter().sum()).collect();
        let sums: Vec<f64> =
            self.counts.iter().map(|cell| cell.iter().zip(weights).map(|(n, w)| n * w).sum()).collect();
        let all: f64 = pixels.iter().sum();
        let mean = sums.iter().sum::<f64>() / all.max(1.0);
        let square = |(&sum, &pixels): (&f64, &f64)| {
            if pixels > 0.0 { pixels / all * (sum / pixels - mean).powi(2) } else { 0.0 }
        };
        let cells = self.counts.len() as f64;
        sums.iter().zip(&pixels).map(square).sum::<f64>() * cells / (cells - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_base::random::Stream;

    /// Independent pixels: the variance of the mean is p (1 − p) / pixels, whatever the shape of the field.
    #[test]
    fn independent_pixels_have_the_variance_of_the_binomial_distribution() {
        for size in [(160, 160), (320, 80), (170, 90)] {
            let pixels = size.0 * size.1;
            let mut mean = 0.0;
            for image in 0..30 {
                let mut stream = Stream::new(1, "pixels", 0, image);
                let labels: Vec<u8> = (0..pixels).map(|_| u8::from(stream.chance(0.3))).collect();
                let mut blocks = BlockCounts::for_image(2, size);
                blocks.add(0, &labels);
                mean += Cells::new(&blocks).spread(&[0.0, 1.0]).unwrap().variance / 30.0;
            }
            let expected = 0.21 / pixels as f64;
            assert!((mean / expected - 1.0).abs() < 0.25, "{size:?}: {mean} {expected}");
        }
    }

    #[test]
    fn with_few_blocks_students_t_has_few_degrees_of_freedom_and_without_there_is_no_spread() {
        let spread = |side: usize| {
            let mut blocks = BlockCounts::new(2, side, (60, 60));
            blocks.add(0, &(0..3600).map(|i| u8::from(i % 60 < 30)).collect::<Vec<_>>());
            Cells::new(&blocks).spread(&[0.0, 1.0])
        };
        assert_eq!(spread(60), None);
        let three_by_three = spread(20).unwrap();
        // Columns of 1, 1/2 and 0: S² = 9/8 · 1/6, over nine blocks.
        assert!((three_by_three.variance - 1.0 / 48.0).abs() < 1e-12 && three_by_three.freedom == 8.0);
        assert!(spread(1).unwrap().variance > 1.0 / 40.0);
    }
}
