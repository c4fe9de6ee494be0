//! Models that predict together.

use super::agreement;
use super::calibrated;
use super::finish::{BAND, Finish};
use super::interpolated::Interpolated;
use super::scaling::{self, CannotScale};
use super::{Band, PredictOptions, Predicted};
use crate::model::ModelFolder;
use crate::reference::Reference;
use anyhow::{Result, anyhow, bail, ensure};
use candle_core::Device;
use matssl_data::{Resampled, Rows};
use matssl_train::train::inference::{Network, Segmenter, Settings, default_batch, memory_in_bands, predict_rows};
use matssl_train::train::memory::{Needs, Work};

/// One or several models with the same classes, loaded on a device.
pub struct Ensemble {
    folders: Vec<ModelFolder>,
    segmenters: Vec<Segmenter>,
    temperature: f64,
    reference: Option<Reference>,
}

impl Ensemble {
    /// Loads `folders` on `device`.
    ///
    /// # Errors
    /// Models of different classes, channels, normalisations, pixel sizes or ways to read images; damaged weights.
    pub fn load(folders: Vec<ModelFolder>, device: &Device) -> Result<Self> {
        agreement::check(&folders)?;
        let other = folders.iter().find(|folder| !folder.description.network.runs_on_gpu());
        if let Some(folder) = other.filter(|_| !device.is_cpu()) {
            let network = folder.description.network.architecture.name();
            bail!("{}: a {network} does not run on a GPU yet; use `--device cpu`", folder.path.display());
        }
        let load = |folder: &ModelFolder| -> Result<Segmenter> {
            let segmenter = Segmenter::load(&folder.weights(), device)?;
            ensure!(
                segmenter.config().network == folder.description.network
                    && folder.description.network.classes == folder.description.classes.len(),
                "{}: `{}` and `{}` are not of the same model; export the model again",
                folder.path.display(),
                ModelFolder::DESCRIPTION,
                ModelFolder::WEIGHTS
            );
            Ok(segmenter)
        };
        let segmenters = folders.iter().map(load).collect::<Result<_>>()?;
        let temperature = calibrated::temperature(&folders);
        let reference = folders.first().and_then(ModelFolder::reference);
        let reference = reference.map(|path| Reference::read(&path)).transpose()?;
        Ok(Ensemble { folders, segmenters, temperature, reference })
    }

    /// Its models.
    pub fn models(&self) -> &[ModelFolder] {
        &self.folders
    }

    /// What the first model's training images look like, if its folder says it.
    pub fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }

    /// Side of the tiles and their overlap, as a fraction of their side: what `options` say, else the largest of the models'.
    ///
    /// # Errors
    /// A side that is no multiple of 32, an overlap that is not from 0 to below 1.
    pub fn tiles(&self, options: &PredictOptions) -> Result<(usize, f64)> {
        let of = || self.folders.iter().map(|folder| &folder.description);
        let tile = options.tile.unwrap_or_else(|| of().map(|model| model.tile).max().unwrap_or(0));
        let overlap = options.overlap.unwrap_or_else(|| of().map(|model| model.overlap).fold(0.0, f64::max));
        ensure!(
            tile > 0 && tile.is_multiple_of(32),
            "tiles of {tile} pixels; give a multiple of 32, for example {}",
            nearest(tile)
        );
        for model in of() {
            model.network.check_side(tile).map_err(|message| anyhow!("tiles of {tile} pixels: {message}"))?;
        }
        ensure!((0.0..1.0).contains(&overlap), "an overlap of {overlap}; give 0 to below 1, for example 0.25");
        Ok((tile, overlap))
    }

    /// Predicts `image`, whose pixels have the size `pixel_size` (nm, across and down) if it is known, and hands its bands to
    /// `take` from top to bottom, in another thread. Reading, computing and `take` overlap. In memory are the rows of one row of
    /// tiles, whatever the image's height.
    ///
    /// The models' probabilities are averaged, blended, and interpolated to the image's pixels if it was scaled. Those of a single
    /// model then get the temperature of its calibration.
    ///
    /// # Errors
    /// Those of the image, of `take`, of [`Ensemble::tiles`], and an output that is not finite.
    pub fn predict(
        &self,
        image: &mut dyn Rows,
        pixel_size: Option<[f64; 2]>,
        options: &PredictOptions,
        take: &mut (dyn FnMut(Band) -> Result<()> + Send),
    ) -> Result<Predicted> {
        let settings = self.settings(options)?;
        let (width, size) = (image.width(), (image.width(), image.height()));
        let scaled_by = self.factors(pixel_size)?;
        let classes = self.folders[0].description.classes.len();
        let maps = |factors| -> Result<_> {
            let from = scaling::scaled(size, factors)?;
            Ok([classes, 1].map(|values| Interpolated::new(from, size, factors, values)))
        };
        let mut finish =
            Finish { width, classes, temperature: self.temperature, scaled: scaled_by.map(maps).transpose()? };
        let mut take = |finished| finish.add(finished, take);
        let summary = match scaled_by {
            None => predict_rows(&self.networks(), image, &settings, &mut take)?,
            Some(factors) => predict_rows(&self.networks(), &mut Resampled::new(image, factors), &settings, &mut take)?,
        };
        let (tile, overlap) = (settings.tile, settings.overlap);
        Ok(Predicted { scaled_by, tile, overlap, tiles: summary.tiles, embedding: summary.embedding })
    }

    /// Estimate of the peak memory of [`Ensemble::predict`] for images of the sizes (width, height) and sizes of pixels `images`,
    /// one after the other, without what `take` keeps.
    ///
    /// # Errors
    /// As [`Ensemble::predict`], as far as it is known from the sizes.
    pub fn memory(
        &self,
        images: impl Iterator<Item = ((usize, usize), Option<[f64; 2]>)>,
        options: &PredictOptions,
    ) -> Result<Needs> {
        let settings = self.settings(options)?;
        let classes = self.folders[0].description.classes.len();
        let (mut seen, mut scaling) = (Vec::new(), 0);
        for (size, pixel_size) in images {
            let Some(factors) = self.factors(pixel_size)? else {
                seen.push(size);
                continue;
            };
            let from = scaling::scaled(size, factors)?;
            // Rows that wait for the next ones, a band, and as many rows of the image.
            let values = from.0 * settings.tile.min(from.1) * (classes + 1) + BAND.max(size.0 * classes);
            scaling = scaling.max(4 * values + 2 * size.0 * settings.tile);
            seen.push(from);
        }
        let mut needs = memory_in_bands(&self.networks(), &settings, seen.into_iter())?;
        needs.work = Work::Application;
        needs.activations += scaling as u64;
        Ok(needs)
    }

    fn settings(&self, options: &PredictOptions) -> Result<Settings> {
        let (tile, overlap) = self.tiles(options)?;
        let batch = options.batch.unwrap_or_else(|| default_batch(self.segmenters[0].network().parameters));
        ensure!(batch > 0, "batches of 0 tiles; give at least 1");
        Ok(Settings { tile, overlap, batch, symmetries: options.tta.symmetries() })
    }

    fn networks(&self) -> Vec<Network<'_>> {
        self.segmenters.iter().map(Segmenter::network).collect()
    }

    fn factors(&self, pixel_size: Option<[f64; 2]>) -> Result<Option<[f64; 2]>, CannotScale> {
        scaling::factors(self.folders[0].description.pixel_size_nm, pixel_size)
    }
}

/// The multiple of 32 that is nearest to `tile`, but not 0.
fn nearest(tile: usize) -> usize {
    ((tile + 16) / 32).max(1) * 32
}

#[cfg(test)]
mod tests;
