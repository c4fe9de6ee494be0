//! Pixels of each class in square blocks of an image: what the block bootstrap draws.

use serde::{Deserialize, Serialize};

/// Pixels of each class, by block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockCounts {
    /// Number of classes.
    pub classes: usize,
    /// Side of a block in pixels; blocks at the right and lower edge may be smaller.
    pub side: usize,
    /// Width and height of the image.
    pub size: (usize, usize),
    /// `[rows, columns, classes]`.
    pub counts: Vec<u64>,
}

impl BlockCounts {
    /// No pixels yet, of an image of `size` (width, height).
    pub fn new(classes: usize, side: usize, size: (usize, usize)) -> Self {
        let blocks = size.0.div_ceil(side) * size.1.div_ceil(side);
        BlockCounts { classes, side, size, counts: vec![0; blocks * classes] }
    }

    /// No pixels yet, in blocks that suit [`fractions`](super::fractions): about 64 × 64 of them, whatever the size of the image.
    pub fn for_image(classes: usize, size: (usize, usize)) -> Self {
        let side = (size.0 as f64 * size.1 as f64).sqrt() / 64.0;
        BlockCounts::new(classes, (side as usize).max(1), size)
    }

    /// Adds the rows from `top` on: labels `[rows, width]`, each less than the number of classes.
    pub fn add(&mut self, top: usize, labels: &[u8]) {
        let columns = self.size.0.div_ceil(self.side);
        for (y, row) in labels.chunks_exact(self.size.0).enumerate() {
            let first = (top + y) / self.side * columns;
            for (x, &label) in row.iter().enumerate() {
                self.counts[(first + x / self.side) * self.classes + usize::from(label)] += 1;
            }
        }
    }

    /// Pixels of each class in the image.
    pub fn totals(&self) -> Vec<u64> {
        let mut totals = vec![0; self.classes];
        for block in self.counts.chunks_exact(self.classes) {
            totals.iter_mut().zip(block).for_each(|(total, count)| *total += count);
        }
        totals
    }
}
