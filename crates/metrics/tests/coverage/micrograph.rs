//! Synthetic micrographs whose expected fractions are known exactly, and a classifier that errs.

use matssl_base::random::Stream;
use matssl_metrics::{BlockCounts, Confusion};
use std::f64::consts::PI;

/// A random structure. Labels of its micrographs are `0..classes`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Structure {
    /// The Boolean model: disks at random places, which may overlap, radii uniform from half to one and a half of `radius`.
    Disks { fraction: f64, radius: f64 },
    /// Cells around points, one in each square of a grid of the side `size`, each cell with a class of its own.
    Grains { fractions: [f64; 3], size: f64 },
}

impl Structure {
    /// The expected fraction of each class.
    pub(crate) fn fractions(self) -> Vec<f64> {
        match self {
            Structure::Disks { fraction, .. } => vec![1.0 - fraction, fraction],
            Structure::Grains { fractions, .. } => fractions.to_vec(),
        }
    }

    /// The labels of a micrograph of `side` × `side` pixels.
    pub(crate) fn draw(self, side: usize, stream: &mut Stream) -> Vec<u8> {
        match self {
            Structure::Disks { fraction, radius } => disks(side, fraction, radius, stream),
            Structure::Grains { fractions, size } => grains(side, fractions, size, stream),
        }
    }
}

fn disks(side: usize, fraction: f64, radius: f64, stream: &mut Stream) -> Vec<u8> {
    let margin = 1.5 * radius;
    // fraction = 1 − exp(−λ E[area]); E[r²] of a uniform radius is its squared mean plus 1/12.
    let intensity = -(1.0 - fraction).ln() / (PI * radius * radius * (1.0 + 1.0 / 12.0));
    let mut labels = vec![0; side * side];
    for _ in 0..poisson(intensity * (side as f64 + 2.0 * margin).powi(2), stream) {
        let [x, y] = [0; 2].map(|_| stream.range(-margin, side as f64 + margin));
        let r = radius * stream.range(0.5, 1.5);
        for row in (y - r).ceil().max(0.0) as usize..=((y + r).floor().min(side as f64 - 1.0).max(-1.0) + 1.0) as usize
        {
            let half = (r * r - (row as f64 - y).powi(2)).max(-1.0);
            if row < side && half >= 0.0 {
                let from = (x - half.sqrt()).ceil().max(0.0) as usize;
                let to = ((x + half.sqrt()).floor() + 1.0).clamp(0.0, side as f64) as usize;
                labels[row * side + from.min(to)..row * side + to].fill(1);
            }
        }
    }
    labels
}

/// A Poisson number, from exponential waiting times.
fn poisson(mean: f64, stream: &mut Stream) -> usize {
    let mut time = 0.0;
    (0..)
        .find(|_| {
            time -= (1.0 - stream.uniform()).ln();
            time > mean
        })
        .unwrap_or_default()
}

fn grains(side: usize, fractions: [f64; 3], size: f64, stream: &mut Stream) -> Vec<u8> {
    let cells = (side as f64 / size) as usize + 7;
    let offset = [0; 2].map(|_| stream.range(2.0, 3.0));
    let points: Vec<(f64, f64, u8)> = (0..cells * cells)
        .map(|index| {
            let x = ((index % cells) as f64 - offset[0] + stream.uniform()) * size;
            let y = ((index / cells) as f64 - offset[1] + stream.uniform()) * size;
            let mark = stream.uniform();
            (x, y, u8::from(mark >= fractions[0]) + u8::from(mark >= fractions[0] + fractions[1]))
        })
        .collect();
    let label = |pixel: usize| {
        let (x, y) = ((pixel % side) as f64, (pixel / side) as f64);
        let [column, row] = [x / size + offset[0], y / size + offset[1]].map(|place| place as usize);
        let near =
            (row - 2..=row + 2).flat_map(|row| points[row * cells + column - 2..=row * cells + column + 2].iter());
        let squared = |&&(px, py, _): &&(f64, f64, u8)| (px - x).powi(2) + (py - y).powi(2);
        near.min_by(|a, b| squared(a).total_cmp(&squared(b))).map_or(0, |&(_, _, label)| label)
    };
    (0..side * side).map(label).collect()
}

/// A model that takes a class for the next one, in patches about 12 pixels wide, and more often in some images than in others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classifier {
    /// By class: how rare its errors are, in standard deviations of the normal distribution.
    pub(crate) thresholds: [f64; 3],
    /// Standard deviation of the thresholds from image to image.
    pub(crate) between: f64,
}

impl Classifier {
    /// What it predicts for `truth`.
    fn predict(&self, truth: &[u8], side: usize, classes: u8, stream: &mut Stream) -> Vec<u8> {
        const PATCH: f64 = 8.0;
        let own = self.thresholds.map(|threshold| threshold + self.between * stream.normal());
        let common = 0.7 * self.between * stream.normal();
        let limits: Vec<f64> =
            own.iter().enumerate().map(|(k, t)| if k == 1 { t + common } else { t - common }).collect();
        let nodes = (side as f64 / PATCH) as usize + 3;
        let noise: Vec<f64> = (0..nodes * nodes).map(|_| stream.normal()).collect();
        let offset = [0; 2].map(|_| stream.uniform());
        let place = |at: usize, offset: f64| {
            let place = at as f64 / PATCH + offset;
            let part = place.fract();
            // Weights that leave the variance at 1.
            let norm = part.hypot(1.0 - part);
            (place as usize, (1.0 - part) / norm, part / norm)
        };
        let columns: Vec<_> = (0..side).map(|x| place(x, offset[0])).collect();
        let mut predicted = truth.to_vec();
        for (y, row) in predicted.chunks_mut(side).enumerate() {
            let (top, a, b) = place(y, offset[1]);
            for (label, &(left, c, d)) in row.iter_mut().zip(&columns) {
                let at = |row: usize| c * noise[row * nodes + left] + d * noise[row * nodes + left + 1];
                if a * at(top) + b * at(top + 1) < limits[usize::from(*label)] {
                    *label = (*label + 1) % classes;
                }
            }
        }
        predicted
    }
}

/// A micrograph with truth and prediction.
pub(crate) struct Micrograph {
    pub(crate) truth: BlockCounts,
    pub(crate) predicted: BlockCounts,
    pub(crate) confusion: Confusion,
}

impl Micrograph {
    pub(crate) fn new(structure: Structure, classifier: Classifier, side: usize, number: u64) -> Self {
        let mut stream = Stream::new(19, "micrograph", 0, number);
        let truth = structure.draw(side, &mut stream);
        let classes = structure.fractions().len();
        let predicted = classifier.predict(&truth, side, classes as u8, &mut stream);
        let counted = |labels: &[u8]| {
            let mut blocks = BlockCounts::for_image(classes, (side, side));
            blocks.add(0, labels);
            blocks
        };
        let mut confusion = Confusion::new(classes);
        confusion.add(&truth, &predicted, None).unwrap();
        Micrograph { truth: counted(&truth), predicted: counted(&predicted), confusion }
    }
}
