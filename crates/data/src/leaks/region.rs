//! The part that two images share, in each of them.

use super::leak::Leak;
use serde::Serialize;

/// A rectangle of an image, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Columns to its left.
    pub left: usize,
    /// Rows above it.
    pub top: usize,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
}

impl Leak {
    /// The shared part in the scored image.
    pub fn in_scored(&self) -> Region {
        let (left, top) = self.corner();
        Region { left, top, width: self.overlap.0, height: self.overlap.1 }
    }

    /// The shared part in the trained image of `size` (width, height), before it is mirrored or turned.
    pub fn in_trained(&self, size: (usize, usize)) -> Region {
        let (left, top) = self.corner();
        let displaced = |at: usize, offset: i64| usize::try_from(at as i64 - offset).unwrap_or(0);
        let (x, y) = (displaced(left, self.offset.0), displaced(top, self.offset.1));
        let (width, height) = self.symmetry.size(size);
        let inside = |(x, y): (usize, usize)| (x.min(width.saturating_sub(1)), y.min(height.saturating_sub(1)));
        let last = (x + self.overlap.0.saturating_sub(1), y + self.overlap.1.saturating_sub(1));
        let (a, b) = (self.symmetry.origin(inside((x, y)), size), self.symmetry.origin(inside(last), size));
        let (left, top) = (a.0.min(b.0), a.1.min(b.1));
        Region { left, top, width: a.0.abs_diff(b.0) + 1, height: a.1.abs_diff(b.1) + 1 }
    }

    fn corner(&self) -> (usize, usize) {
        let inside = |offset: i64| usize::try_from(offset).unwrap_or(0);
        (inside(self.offset.0), inside(self.offset.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaks::{Kind, Symmetry};

    /// Each pixel of the trained image's region, laid on the scored image, fills the scored image's region.
    #[test]
    fn both_regions_are_the_same_pixels_for_each_symmetry() {
        let size = (7, 5);
        for symmetry in Symmetry::ALL {
            let (width, height) = symmetry.size(size);
            // The trained image reaches over the left edge by 2 and over no other.
            let overlap = (width - 2, height);
            let leak = Leak { symmetry, offset: (-2, 3), overlap, kind: Kind::Overlap, ..Leak::same(0, 0, (20, 20)) };
            let (scored, trained) = (leak.in_scored(), leak.in_trained(size));
            assert_eq!((scored.left, scored.top), (0, 3));
            let mut landed = Vec::new();
            for y in trained.top..trained.top + trained.height {
                for x in trained.left..trained.left + trained.width {
                    let (x, y) = symmetry.apply_to_pixel((x, y), size);
                    landed.push((x - 2, y + 3));
                }
            }
            landed.sort_unstable();
            let mut wanted: Vec<(usize, usize)> = (0..scored.height)
                .flat_map(|y| (0..scored.width).map(move |x| (scored.left + x, scored.top + y)))
                .collect();
            wanted.sort_unstable();
            assert_eq!(landed, wanted, "{symmetry:?}");
        }
    }
}
