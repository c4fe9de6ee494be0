//! What is known of a predicted image.

use crate::measure::{Measured, Unit};
use crate::output::{ImageFiles, OutputFile};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A predicted image: what tables and the page say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageResult {
    /// What it is called.
    pub image: String,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Size of a pixel across and down, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size_nm: Option<[f64; 2]>,
    /// Its measures.
    pub measured: Measured,
    /// Paths of its files.
    pub files: ImageFiles,
    /// Its files with their hashes.
    pub outputs: Vec<OutputFile>,
    /// Why it is unlike the training images; empty if it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusual: Vec<String>,
}

impl ImageResult {
    /// Whether all its files are in `root`, unchanged.
    pub fn is_whole(&self, root: &Path) -> bool {
        self.outputs.iter().all(|output| output.is_whole(root))
    }

    /// Area of a pixel in µm², if its size is known.
    pub(super) fn pixel_area_um2(&self) -> Option<f64> {
        self.pixel_size_nm.map(|[across, down]| across * down / 1e6)
    }

    /// Area of the image in the square of the unit of its lengths.
    pub(super) fn area(&self) -> f64 {
        let pixel = self.pixel_area_um2().filter(|_| self.measured.unit == Unit::Micrometre);
        (self.width * self.height) as f64 * pixel.unwrap_or(1.0)
    }
}
