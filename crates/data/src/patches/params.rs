//! How patches are cut.

use crate::Split;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens where patches do not fill an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Edge {
    /// The rest is left out. An image smaller than a patch has no patch.
    #[default]
    Drop,
    /// The last patch is shifted back to the edge and overlaps more. An image smaller than a patch is mirrored.
    Shift,
    /// The last patch extends over the edge; the part outside is mirrored.
    Pad,
}

/// Which images patches are cut from. No choice includes the test images.
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
    /// The splits of these images.
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
    /// The share of its side by which a patch overlaps the next one, from 0 to below 1.
    pub overlap: f64,
    /// What happens at the edges.
    pub edge: Edge,
    /// Which images.
    pub from: Use,
}
