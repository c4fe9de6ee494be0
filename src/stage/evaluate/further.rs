//! Scores that an evaluation has only where it is asked for them.

use super::super::StageError;
use super::Evaluate;
use crate::data::{Entry, IGNORE, Manifest, Mask};
use crate::metrics::{
    BoundaryMeter, Confusion, Evaluation, FurtherScore, SpecimenScores, SurfaceMeter, SurfaceTolerance,
};

/// Measures them, image by image.
#[derive(Default)]
pub(super) struct Meters {
    boundary: Option<BoundaryMeter>,
    surface: Option<(SurfaceMeter, SurfaceTolerance)>,
    specimens: bool,
}

impl Evaluate {
    /// The scores that it is asked for.
    pub(super) fn further(&self) -> Vec<FurtherScore> {
        // A model's calibration is always measured.
        let mut asked = vec![FurtherScore::CalibrationError];
        asked.extend(self.boundary.map(|_| FurtherScore::BoundaryIou));
        asked.extend(self.surface_tolerance.as_ref().map(|_| FurtherScore::SurfaceDice));
        asked.extend(self.specimens.then_some(FurtherScore::SpecimenMiou));
        asked
    }

    /// Nothing measured yet, for `classes` classes.
    pub(super) fn meters(&self, classes: usize) -> Meters {
        let surface = |tolerance: &SurfaceTolerance| (SurfaceMeter::new(classes, Some(IGNORE)), tolerance.clone());
        Meters {
            boundary: self.boundary.map(|distance| BoundaryMeter::new(classes, Some(IGNORE), distance)),
            surface: self.surface_tolerance.as_ref().map(surface),
            specimens: self.specimens,
        }
    }

    /// Checks that what it is asked for is known of the images `entries` of the data set `name`.
    ///
    /// # Errors
    /// The first image without it, and the cure.
    pub(super) fn check_known(&self, entries: &[&Entry], name: &str) -> Result<(), String> {
        if let Some(entry) = entries.iter().find(|entry| self.specimens && entry.specimen.is_none()) {
            return Err(format!(
                "`specimens = true` needs the specimen of each image, and that of {} is not known: set `group` in the table of \
                 {name}, or remove it",
                entry.image
            ));
        }
        let Some(tolerance) = &self.surface_tolerance else { return Ok(()) };
        match entries.iter().find(|entry| tolerance.in_image(entry.pixel_size).is_none()) {
            Some(entry) => Err(format!(
                "`surface_tolerance = \"{}\"` needs the size of the pixels of each image, and that of {} is not known: set \
                 `pixel_size` in the table of {name}, or give the tolerance in pixels, e.g. 2",
                tolerance.words(),
                entry.image
            )),
            None => Ok(()),
        }
    }
}

impl Meters {
    /// Adds an image.
    ///
    /// # Errors
    /// If the size of its pixels is needed and not known.
    pub(super) fn add(&mut self, entry: &Entry, truth: &Mask, prediction: &Mask) -> Result<(), StageError> {
        if let Some(meter) = &mut self.boundary {
            meter.add(&truth.labels, &prediction.labels, truth.width);
        }
        if let Some((meter, tolerance)) = &mut self.surface {
            let tolerance = tolerance.in_image(entry.pixel_size).ok_or_else(|| {
                StageError::BadData(format!("the size of the pixels of {} is not known", entry.image))
            })?;
            meter.add(&truth.labels, &prediction.labels, truth.width, tolerance);
        }
        Ok(())
    }

    /// `evaluation` with the scores. `matrices` are those of the images `entries`.
    pub(super) fn finish(
        self,
        evaluation: Evaluation,
        manifest: &Manifest,
        entries: &[&Entry],
        matrices: &[Confusion],
    ) -> Evaluation {
        let ignored = &manifest.ignore_classes;
        let of = entries.iter().zip(matrices).filter_map(|(entry, matrix)| Some((entry.specimen.as_deref()?, matrix)));
        let surface = |(meter, tolerance): (SurfaceMeter, SurfaceTolerance)| meter.finish(tolerance, ignored);
        Evaluation {
            boundary: self.boundary.map(|meter| meter.finish(ignored)),
            surface: self.surface.map(surface),
            specimens: self.specimens.then(|| SpecimenScores::of(of, ignored)),
            ..evaluation
        }
    }
}
