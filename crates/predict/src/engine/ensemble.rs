//! Models that predict together.

use super::{Band, PredictOptions};
use crate::model::ModelFolder;
use anyhow::Result;
use candle_core::Device;
use matssl_data::Rows;
use matssl_train::train::inference::Segmenter;

/// One or several models with the same classes, loaded on a device.
pub struct Ensemble {
    folders: Vec<ModelFolder>,
    segmenters: Vec<Segmenter>,
}

impl Ensemble {
    /// Loads `folders` on `device`.
    ///
    /// # Errors
    /// Models of different classes, channels, pixel sizes or ways to read images; damaged weights.
    pub fn load(folders: Vec<ModelFolder>, device: &Device) -> Result<Self> {
        let load = |folder: &ModelFolder| Segmenter::load(&folder.weights(), device);
        let segmenters = folders.iter().map(load).collect::<Result<_>>()?;
        Ok(Ensemble { folders, segmenters })
    }

    /// Its models.
    pub fn models(&self) -> &[ModelFolder] {
        &self.folders
    }

    /// Predicts `image`, whose pixels have the size `pixel_size` (nm, across and down) if it is known, and hands its bands to
    /// `take` from top to bottom.
    ///
    /// # Errors
    /// Those of the image, of `take`, and an output that is not finite.
    pub fn predict(
        &self,
        image: &mut dyn Rows,
        _pixel_size: Option<[f64; 2]>,
        options: &PredictOptions,
        take: &mut dyn FnMut(Band) -> Result<()>,
    ) -> Result<()> {
        let (height, width) = (image.height(), image.width());
        let whole = image.rows(0..height)?;
        let description = &self.folders[0].description;
        let (tile, overlap) =
            (options.tile.unwrap_or(description.tile), options.overlap.unwrap_or(description.overlap));
        let prediction = self.segmenters[0].probabilities(&whole, tile, overlap)?;
        let (labels, probabilities) = (prediction.mask.labels, prediction.probabilities);
        take(Band { top: 0, rows: height, width, labels, probabilities, disagreement: None })
    }
}
