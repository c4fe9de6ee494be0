//! A leak between images of data sets, with all that a reader wants to know of it.

use super::{Leak, Region};
use crate::Split;
use serde::Serialize;

/// An image that is scored on and one that is trained on, which show the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The one that is scored on.
    pub scored: PairImage,
    /// The one that is trained on.
    pub trained: PairImage,
    /// What that is for: `pretraining, training`.
    pub how: String,
    /// What they have in common. Its indices mean nothing here.
    #[serde(flatten)]
    pub leak: Leak,
}

/// One side of a leak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairImage {
    /// Name of the data set that it is in.
    pub dataset: String,
    /// Others that hold the same file: one folder may be read in several ways.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
    /// What it is for there.
    pub split: Split,
    /// Its path inside the data set.
    pub image: String,
    /// Pixels across and down, without the info band.
    pub size: (usize, usize),
    /// What the other shows, too.
    pub region: Region,
    /// A small JPEG of it in base64; of the first leaks only.
    #[serde(skip)]
    pub picture: Option<String>,
}

impl PairImage {
    /// `metaldam, metaldam-256 test images/micrograph1.png`.
    pub fn words(&self) -> String {
        let data_sets: Vec<&str> =
            std::iter::once(self.dataset.as_str()).chain(self.also_in.iter().map(String::as_str)).collect();
        format!("{} {} {}", data_sets.join(", "), self.split.name(), self.image)
    }
}

impl Leak {
    /// `160×150 at (30, 50), turned by 90°`: what is shared, and where the trained image's left top lies in the scored one.
    pub fn place_in_words(&self) -> String {
        let (width, height) = self.overlap;
        let turned = match self.symmetry.words() {
            "" => String::new(),
            words => format!(", {words}"),
        };
        format!("{width}×{height} at ({}, {}){turned}", self.offset.0, self.offset.1)
    }
}
