//! Whether two images match where one is laid on the other.

use super::band::Grey;
use super::vote::Displacement;
use crate::symmetry::Symmetry;
use matssl_base::machine::vectorized;

/// Smallest number of pixels a side that two images must share.
const MIN_OVERLAP: usize = 64;
/// Side of a block in pixels.
const BLOCK: usize = 32;
/// Largest distance in pixels, in each direction, between the voted displacement and the confirmed one.
const REACH: i64 = 5;
/// Maximum number of blocks, spread evenly, that the search looks at; the final score is of all blocks.
const SEARCHED: usize = 96;

/// A displacement with its score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirmed {
    pub(super) symmetry: Symmetry,
    pub(super) offset: (i64, i64),
    pub(super) overlap: (usize, usize),
    pub(super) score: f64,
}

/// Finds the best displacement near a voted one; `None` if the images hardly overlap there.
pub(super) fn confirm(scored: &Grey<f32>, trained: &Grey<f32>, candidate: &Displacement) -> Option<Confirmed> {
    let symmetry = candidate.symmetry;
    let size = (trained.width, trained.height);
    let (width, height) = symmetry.size(size);
    let trained = Grey { width, height, values: symmetry.apply(&trained.values, size) };
    let mut best: Option<((i64, i64), f64)> = None;
    for dy in -REACH..=REACH {
        for dx in -REACH..=REACH {
            let offset = (candidate.offset.0 + dx, candidate.offset.1 + dy);
            let Some(overlap) = Overlap::of(scored, &trained, offset) else { continue };
            let score = overlap.score(scored, &trained, SEARCHED);
            if best.is_none_or(|(_, best)| score > best) {
                best = Some((offset, score));
            }
        }
    }
    let (offset, _) = best?;
    let overlap = Overlap::of(scored, &trained, offset)?;
    let score = overlap.score(scored, &trained, usize::MAX);
    Some(Confirmed { symmetry, offset, overlap: overlap.size, score })
}

/// The rectangle that both images show.
struct Overlap {
    /// Its top left corner in the scored image.
    scored: (usize, usize),
    /// Its top left corner in the trained image.
    trained: (usize, usize),
    size: (usize, usize),
}

impl Overlap {
    fn of(scored: &Grey<f32>, trained: &Grey<f32>, offset: (i64, i64)) -> Option<Overlap> {
        let along = |length: usize, other: usize, offset: i64| {
            let start = offset.max(0);
            let end = (offset + other as i64).min(length as i64);
            (end - start >= MIN_OVERLAP as i64)
                .then(|| (start as usize, (start - offset) as usize, (end - start) as usize))
        };
        let (x, other_x, width) = along(scored.width, trained.width, offset.0)?;
        let (y, other_y, height) = along(scored.height, trained.height, offset.1)?;
        Some(Overlap { scored: (x, y), trained: (other_x, other_y), size: (width, height) })
    }

    /// The median correlation over the half of the blocks that have the most structure in both images. So a few strong edges do
    /// not decide (the interface of a coating looks alike everywhere), and neither do flat blocks, which hold only noise. Looks
    /// at no more than about `most` blocks, evenly spread.
    fn score(&self, scored: &Grey<f32>, trained: &Grey<f32>, most: usize) -> f64 {
        let (columns, rows) = (self.size.0 / BLOCK, self.size.1 / BLOCK);
        let step = (columns * rows).div_ceil(most).max(1);
        let mut blocks: Vec<(f64, f64)> = (0..columns * rows)
            .step_by(step)
            .map(|block| self.block(scored, trained, (block % columns * BLOCK, block / columns * BLOCK)))
            .collect();
        blocks.sort_by(|a, b| b.0.total_cmp(&a.0));
        blocks.truncate(blocks.len().div_ceil(2));
        let mut correlations: Vec<f64> = blocks.into_iter().map(|(_, correlation)| correlation).collect();
        correlations.sort_by(f64::total_cmp);
        correlations.get(correlations.len() / 2).copied().unwrap_or(0.0)
    }

    /// For the block at (x, y) of the overlap: how much structure both images have there (the geometric mean of their
    /// variances), and their normalised cross-correlation.
    fn block(&self, scored: &Grey<f32>, trained: &Grey<f32>, (x, y): (usize, usize)) -> (f64, f64) {
        let row =
            |image: &'_ Grey<f32>, corner: (usize, usize), j: usize| (corner.1 + y + j) * image.width + corner.0 + x;
        // One lane for each column, so that the order of additions does not depend on the width of vectors.
        let (mut a, mut b) = ([0f32; BLOCK], [0f32; BLOCK]);
        let (mut aa, mut bb, mut ab) = ([0f32; BLOCK], [0f32; BLOCK], [0f32; BLOCK]);
        vectorized(
            #[inline(always)]
            || {
                for j in 0..BLOCK {
                    let (p, q) = (row(scored, self.scored, j), row(trained, self.trained, j));
                    let (p, q) = (&scored.values[p..p + BLOCK], &trained.values[q..q + BLOCK]);
                    for i in 0..BLOCK {
                        a[i] += p[i];
                        b[i] += q[i];
                        aa[i] += p[i] * p[i];
                        bb[i] += q[i] * q[i];
                        ab[i] += p[i] * q[i];
                    }
                }
            },
        );
        let sum = |lanes: &[f32; BLOCK]| lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
        let n = (BLOCK * BLOCK) as f64;
        let (a, b) = (sum(&a) / n, sum(&b) / n);
        let (aa, bb, ab) = (sum(&aa) / n - a * a, sum(&bb) / n - b * b, sum(&ab) / n - a * b);
        let structure = (aa.max(0.0) * bb.max(0.0)).sqrt();
        (structure, if structure > 0.0 { ab / structure } else { 0.0 })
    }
}
