//! A leak between images of data sets, with all that a report shows of it.

use super::leak::Leak;
use super::region::Region;
use crate::Split;
use serde::Serialize;

/// A scored and a trained image that show the same, at least in part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The scored image.
    pub scored: PairImage,
    /// The trained image.
    pub trained: PairImage,
    /// What it is trained on for: `pretraining, training`.
    pub how: String,
    /// What they have in common. Its indices are not used here.
    #[serde(flatten)]
    pub leak: Leak,
}

/// One side of a leak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairImage {
    /// Name of its data set.
    pub dataset: String,
    /// Other data sets that hold the same file: several data sets may read one folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
    /// Its split.
    pub split: Split,
    /// Its path inside the data set.
    pub image: String,
    /// Pixels across and down, without the info band.
    pub size: (usize, usize),
    /// The part that the other image shows, too.
    pub region: Region,
    /// A small JPEG in base64, for the first leaks only.
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
    /// `160×150 at (30, 50), turned by 90°`: the size of the shared part, and the position of the trained image's top left
    /// corner in the scored one.
    pub fn place_in_words(&self) -> String {
        let (width, height) = self.overlap;
        let turned = match self.symmetry.words() {
            "" => String::new(),
            words => format!(", {words}"),
        };
        format!("{width}×{height} at ({}, {}){turned}", self.offset.0, self.offset.1)
    }
}
