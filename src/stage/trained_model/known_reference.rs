//! What a training knows of its validation images.

use super::super::StageError;
use crate::metrics::{Calibration, Confusion};
use crate::predict::reference::Reference;
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
        let reference = Reference::read(path).map_err(anyhow::Error::from)?;
        let validation = reference.confusions();
        Ok(KnownReference { calibration: reference.calibration, validation })
    }

    /// Scores on the validation images, pooled over their pixels; `None` without such images.
    pub(super) fn scores(&self, ignored: &[u8]) -> Option<Scores> {
        let mut sum = Confusion::new(self.validation.first()?.classes());
        self.validation.iter().for_each(|matrix| sum.merge(matrix));
        let iou = (0..sum.classes()).map(|class| sum.iou(class)).collect();
        Some((self.validation.len(), sum.miou(ignored), iou, sum))
    }
}
