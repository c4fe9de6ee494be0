//! The parameters of synthetic micrographs.

use super::structure::Structure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of synthetic micrographs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SynthesizeParams {
    /// The microstructure, which also says the classes: `"steel"` (matrix, lamellar, island, pore), `"needles"` (matrix, needle,
    /// pore), `"dendrites"` (interdendritic, dendrite, pore), `"cracks"` (matrix, crack, pore) or `"coating"` (coating, oxide,
    /// substrate, crack, pore).
    #[serde(skip_serializing_if = "Structure::is_default")]
    pub structure: Structure,
    /// Side of an image in pixels.
    pub size: usize,
    /// Images without masks, to pretrain on.
    pub unlabeled: usize,
    /// Images with masks to train on.
    pub train: usize,
    /// Images with masks to choose the epoch by.
    pub val: usize,
    /// Images with masks to score on.
    pub test: usize,
    /// Seed of the data set: the experiment's `seeds` change the training, not the data.
    pub seed: u64,
    /// Typical diameter of a grain in pixels. Islands, colonies, pores and lamellae scale with it, and so do needles, arms of
    /// dendrites and widths of cracks; not the layers of a coating, which scale with `size`.
    pub grain: f64,
    /// Strength of detector noise: 1 is typical, 0 none.
    pub noise: f64,
    /// Strength of slow shading over the image: 1 is plainly visible, 0 none.
    pub shading: f64,
    /// Average number of scratches on an image.
    pub scratches: f64,
    /// How much the imaging differs from picture to picture: magnification, brightness, contrast, gamma, noise and focus. 1 is as much
    /// as among several microscopes, 0 (the default) none.
    #[serde(skip_serializing_if = "is_off")]
    pub imaging: f64,
}

fn is_off(strength: &f64) -> bool {
    *strength == 0.0
}

impl Default for SynthesizeParams {
    fn default() -> Self {
        SynthesizeParams {
            structure: Structure::Steel,
            size: 256,
            unlabeled: 16,
            train: 8,
            val: 4,
            test: 4,
            seed: 0,
            grain: 40.0,
            noise: 1.0,
            shading: 1.0,
            scratches: 1.5,
            imaging: 0.0,
        }
    }
}

impl SynthesizeParams {
    /// Smallest grain in pixels.
    pub(super) const LEAST_GRAIN: f64 = 4.0;

    /// Checks bounds.
    ///
    /// # Errors
    /// (parameter, message).
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(16..=16_384).contains(&self.size) {
            return Err(("size", format!("{} is out of range: 16 to 16384 pixels", self.size)));
        }
        if self.unlabeled + self.train + self.val + self.test == 0 {
            return Err(("train", "no image at all: give a number above 0 for at least one of the splits".into()));
        }
        if !(Self::LEAST_GRAIN..=10_000.0).contains(&self.grain) {
            return Err(("grain", format!("{} is out of range: 4 to 10000 pixels", self.grain)));
        }
        for (name, strength) in [("noise", self.noise), ("shading", self.shading), ("scratches", self.scratches)] {
            if !(0.0..=100.0).contains(&strength) {
                return Err((name, format!("{strength} is out of range: 0 to 100")));
            }
        }
        if !(0.0..=2.0).contains(&self.imaging) {
            return Err(("imaging", format!("{} is out of range: 0 to 2", self.imaging)));
        }
        Ok(())
    }
}
