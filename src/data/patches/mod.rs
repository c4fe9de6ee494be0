//! Patches for pretraining: cut once, kept as uint8 in one file that is mapped into memory, not read.

mod cut;
mod mapped;

pub use cut::cut;
pub use mapped::{Patch, Patches};

use super::Split;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The file of patches in a stage's output.
pub const PATCHES: &str = "patches.safetensors";
/// The file that says where each came from.
pub const INDEX: &str = "index.csv";

/// What happens where patches do not fill an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Edge {
    /// The rest is left out; an image smaller than a patch yields none.
    #[default]
    Drop,
    /// The last patch is shifted back to the edge and overlaps more. An image smaller than a patch is mirrored.
    Shift,
    /// The last patch reaches over the edge; what is beyond is mirrored.
    Pad,
}

/// Which images patches are cut from. None of these ever names the test images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Images without masks.
    Unlabeled,
    /// Training images.
    Train,
    /// Unlabelled, training and validation images (whose masks stay unused).
    AllButTest,
}

impl Use {
    /// The splits it takes.
    pub fn splits(self) -> &'static [Split] {
        match self {
            Use::Unlabeled => &[Split::Unlabeled],
            Use::Train => &[Split::Train],
            Use::AllButTest => &[Split::Unlabeled, Split::Train, Split::Val],
        }
    }
}

/// How patches are cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchParams {
    /// Side of a patch in pixels.
    pub size: usize,
    /// The part of its side by which a patch overlaps the next, from 0 to below 1.
    pub overlap: f64,
    /// What happens at the edges.
    pub edge: Edge,
    /// Which images.
    pub from: Use,
}

/// Where patches of `size` start along `length` pixels: every `round(size · (1 − overlap))`, at least 1.
///
/// `Drop` and `Shift` never start beyond `length − size` (`Shift` ends exactly there); with `Shift` and `Pad` the
/// patches cover every pixel.
pub fn positions(length: usize, size: usize, overlap: f64, edge: Edge) -> Vec<usize> {
    let step = ((size as f64 * (1.0 - overlap)).round() as usize).max(1);
    let Some(room) = length.checked_sub(size) else {
        return if edge == Edge::Drop || length == 0 { Vec::new() } else { vec![0] };
    };
    let mut starts: Vec<usize> = (0..=room).step_by(step).collect();
    let last = starts.last().copied().unwrap_or(0);
    if last < room {
        match edge {
            Edge::Drop => {}
            Edge::Shift => starts.push(room),
            Edge::Pad => starts.push(last + step),
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patches_start_where_the_overlap_says() {
        assert_eq!(positions(768, 256, 0.0, Edge::Drop), [0, 256, 512]);
        assert_eq!(positions(700, 256, 0.0, Edge::Drop), [0, 256]);
        assert_eq!(positions(700, 256, 0.0, Edge::Shift), [0, 256, 444]);
        assert_eq!(positions(700, 256, 0.0, Edge::Pad), [0, 256, 512]);
        assert_eq!(positions(500, 256, 0.7, Edge::Drop), [0, 77, 154, 231]);
        assert_eq!(positions(100, 256, 0.5, Edge::Drop), [0; 0]);
        assert_eq!(positions(100, 256, 0.5, Edge::Shift), [0]);
        assert_eq!(positions(100, 256, 0.5, Edge::Pad), [0]);
    }

    proptest! {
        #[test]
        fn shifted_and_padded_patches_cover_all_and_dropped_ones_stay_inside(
            length in 1usize..400, size in 1usize..120, overlap in 0.0f64..0.99,
        ) {
            for edge in [Edge::Drop, Edge::Shift, Edge::Pad] {
                let starts = positions(length, size, overlap, edge);
                prop_assert!(starts.is_sorted_by(|a, b| a < b));
                prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= size));
                let end = starts.last().map_or(0, |start| start + size);
                match edge {
                    Edge::Drop => prop_assert!(end <= length),
                    Edge::Shift => prop_assert!(end == length || (size > length && starts == [0])),
                    Edge::Pad => prop_assert!(end >= length),
                }
            }
        }
    }
}
