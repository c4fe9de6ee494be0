//! What a training knows of its validation images.

use super::super::StageError;
use crate::metrics::{Calibration, Confusion};
use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use std::path::Path;

/// The part of a reference file that `model.json` repeats.
#[derive(Debug, Default)]
pub(super) struct KnownReference {
    /// The calibration on the validation images.
    pub(super) calibration: Option<Calibration>,
    /// The confusion matrix of each validation image.
    pub(super) validation: Vec<Confusion>,
}

/// Number of images, mean IoU, IoU by class, and the matrix that they follow from.
type Scores = (usize, Option<f64>, Vec<Option<f64>>, Confusion);

impl KnownReference {
    /// Reads the reference file `path`.
    ///
    /// # Errors
    /// A damaged file.
    pub(super) fn read(path: &Path) -> Result<Self, StageError> {
        let (calibration, validation) = reference_of(path)?;
        Ok(KnownReference { calibration, validation })
    }

    /// Scores on the validation images, pooled over their pixels; `None` without such images.
    pub(super) fn scores(&self, ignored: &[u8]) -> Option<Scores> {
        let mut sum = Confusion::new(self.validation.first()?.classes());
        self.validation.iter().for_each(|matrix| sum.merge(matrix));
        let iou = (0..sum.classes()).map(|class| sum.iou(class)).collect();
        Some((self.validation.len(), sum.miou(ignored), iou, sum))
    }
}

/// Calibration and confusion matrices in the metadata of the reference file `path`.
fn reference_of(path: &Path) -> anyhow::Result<(Option<Calibration>, Vec<Confusion>)> {
    #[derive(Deserialize)]
    struct Image {
        confusion: Confusion,
    }
    #[derive(Deserialize)]
    struct Known {
        calibration: Option<Calibration>,
        validation: Vec<Image>,
    }
    let what = || format!("the reference file {}", path.display());
    let bytes = std::fs::read(path).with_context(what)?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).with_context(what)?;
    let texts = header.metadata().iter().flat_map(|metadata| metadata.values());
    let known = texts.filter_map(|text| serde_json::from_str::<Known>(text).ok()).next();
    let known = known.ok_or_else(|| anyhow!("{} says nothing of validation images", what()))?;
    Ok((known.calibration, known.validation.into_iter().map(|image| image.confusion).collect()))
}
