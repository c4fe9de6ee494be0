//! What a trained and a scored image have in common.

use crate::symmetry::Symmetry;
use serde::{Deserialize, Serialize};

/// What two images have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// All pixels are equal, without the info band.
    Same,
    /// The same field of view; pixels differ.
    NearDuplicate,
    /// One image is a part of the other.
    Crop,
    /// Each image shows something that the other does not.
    Overlap,
}

impl Kind {
    /// `same pixels`, `near-duplicate`, `crop`, `overlap`.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Same => "same pixels",
            Kind::NearDuplicate => "near-duplicate",
            Kind::Crop => "crop",
            Kind::Overlap => "overlap",
        }
    }
}

/// A scored image that was trained on, completely or in part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// Index of the scored image among those given.
    #[serde(skip)]
    pub scored: usize,
    /// Index of the trained image among those given.
    #[serde(skip)]
    pub trained: usize,
    /// What they have in common.
    pub kind: Kind,
    /// The change of the trained image after which it matches the scored one.
    pub symmetry: Symmetry,
    /// Column and row in the scored image of the trained image's top left corner (negative: outside).
    pub offset: (i64, i64),
    /// Pixels across and down that they share.
    pub overlap: (usize, usize),
    /// The share of the scored image that was trained on.
    pub share: f64,
    /// Median over blocks of the normalised cross-correlation of the band-passed images; 1 for the same pixels.
    pub score: f64,
}

impl Leak {
    /// A leak of an image that is both trained and scored on, or two images with the same pixels.
    pub fn same(scored: usize, trained: usize, size: (usize, usize)) -> Leak {
        Leak {
            scored,
            trained,
            kind: Kind::Same,
            symmetry: Symmetry::Identity,
            offset: (0, 0),
            overlap: size,
            share: 1.0,
            score: 1.0,
        }
    }
}
