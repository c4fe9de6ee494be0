//! Mean intercept lengths of classes.

use serde::{Deserialize, Serialize};

/// The mean intercept length of one class: the mean length of the chords that it cuts from test lines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intercept {
    /// Along horizontal test lines, one in each row, in pixels; `None` if the class has no boundary on them.
    pub across: Option<f64>,
    /// Along vertical test lines, one in each column, in pixels; `None` if the class has no boundary on them.
    pub down: Option<f64>,
}

impl Intercept {
    /// The mean over both directions, with pixels of the size `[across, down]` (`[1.0, 1.0]`: in pixels); `None` if one of them
    /// is not known.
    pub fn mean(&self, pixel: [f64; 2]) -> Option<f64> {
        Some((self.across? * pixel[0] + self.down? * pixel[1]) / 2.0)
    }
}

/// Measures mean intercept lengths in rows of labels that come from top to bottom: the length of the test lines inside the class
/// by the number of intercepts (Underwood 1970; ASTM E112 for grains).
///
/// An intercept has two ends. An end that is cut by the edge of the image is not counted, so a chord with one such end counts
/// half, as in ASTM E112, and a chord from edge to edge only adds its length. So the length has no bias from the edge. A boundary
/// between two objects of the same class is not seen.
#[derive(Clone, Debug)]
pub struct InterceptMeter {
    width: usize,
    pixels: Vec<u64>,
    /// Ends of chords by class: on horizontal and on vertical lines.
    ends: Vec<[u64; 2]>,
    above: Vec<u8>,
}

impl InterceptMeter {
    /// No rows yet, of an image `width` pixels wide with labels `0..classes`.
    pub fn new(classes: usize, width: usize) -> Self {
        InterceptMeter { width, pixels: vec![0; classes], ends: vec![[0; 2]; classes], above: Vec::new() }
    }

    /// Adds rows of labels, `[rows, width]`, each less than the number of classes.
    pub fn add(&mut self, labels: &[u8]) {
        if self.width == 0 {
            return;
        }
        for row in labels.chunks_exact(self.width) {
            row.iter().for_each(|&label| self.pixels[usize::from(label)] += 1);
            self.count(0, row, &row[1..]);
            let above = std::mem::take(&mut self.above);
            self.count(1, &above, row);
            self.above = above;
            self.above.clear();
            self.above.extend_from_slice(row);
        }
    }

    /// Counts the ends where a pixel and the next one on its line differ.
    fn count(&mut self, direction: usize, pixels: &[u8], next: &[u8]) {
        for (&a, &b) in pixels.iter().zip(next).filter(|(a, b)| a != b) {
            self.ends[usize::from(a)][direction] += 1;
            self.ends[usize::from(b)][direction] += 1;
        }
    }

    /// The mean intercept length of each class, in pixels.
    pub fn finish(self) -> Vec<Intercept> {
        let length = |pixels: u64, ends: u64| (ends > 0).then(|| 2.0 * pixels as f64 / ends as f64);
        let classes = self.pixels.iter().zip(&self.ends);
        classes.map(|(&n, ends)| Intercept { across: length(n, ends[0]), down: length(n, ends[1]) }).collect()
    }
}
