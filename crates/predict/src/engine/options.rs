//! How an image is predicted.

use matssl_data::Symmetry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Test-time augmentation: the mean over copies of a tile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tta {
    /// The tile as it is.
    #[default]
    None,
    /// Also mirrored left to right, top to bottom, and both: 4 copies.
    Flips,
    /// Also turned by 90°: all 8 symmetries of a square.
    Full,
}

/// The tile as it is, mirrored left to right, top to bottom, and both.
const FLIPS: &[Symmetry] = &[Symmetry::Identity, Symmetry::MirroredX, Symmetry::MirroredY, Symmetry::Turned180];

impl Tta {
    /// The copies whose predictions are averaged, the tile itself first.
    pub fn symmetries(self) -> &'static [Symmetry] {
        match self {
            Tta::None => &FLIPS[..1],
            Tta::Flips => FLIPS,
            Tta::Full => &Symmetry::ALL,
        }
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Tta::None
    }
}

/// How an image is predicted. What changes a label is in the hash of a prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictOptions {
    /// Side of a tile, a multiple of 32; the model's if `None`.
    pub tile: Option<usize>,
    /// Overlap of tiles as a fraction of their side; the model's if `None`.
    pub overlap: Option<f64>,
    /// Test-time augmentation.
    pub tta: Tta,
    /// Tiles a batch; by the device if `None`. Changes no label but for rounding.
    pub batch: Option<usize>,
}
