//! `index.html`.

use super::{Field, Results};
use crate::measure::Unit;
use matssl_metrics::{ClassFraction, Object};
use matssl_report::{ClassObjects, PredictedImage, PredictionsPage, SpecimenRow, predictions_page};

impl Results {
    /// The page. It needs the overlays and thumbnails.
    pub fn page(&self) -> String {
        let names: Vec<&str> = self.models.iter().map(|model| model.description.name.as_str()).collect();
        let failed = self.failed.iter().map(|failed| (failed.image.clone(), failed.reason.clone()));
        let specimens = if self.has_specimens() || self.fields.len() > 1 { self.specimen_rows() } else { Vec::new() };
        let calibrated = self
            .models
            .iter()
            .filter_map(|model| Some((model.description.name.clone(), model.description.calibration.clone()?)));
        predictions_page(&PredictionsPage {
            title: format!("Predictions of {}", names.join(", ")),
            facts: self.facts(),
            classes: self.classes().iter().map(|class| (class.name.clone(), class.color.0)).collect(),
            notes: self.notes(),
            images: self.fields.iter().zip(&self.fractions).map(|(field, of)| image(field, of)).collect(),
            failed: failed.collect(),
            specimens,
            objects: self.objects.iter().flat_map(|&class| self.class_objects(class)).collect(),
            calibrations: calibrated.collect(),
        })
    }

    fn specimen_rows(&self) -> Vec<SpecimenRow> {
        let row = |specimen: &super::Specimen<'_>| SpecimenRow {
            specimen: specimen.name.clone(),
            fields: specimen.fields.len(),
            fractions: specimen.fractions.iter().map(|of| (of.fraction, of.deviation)).collect(),
        };
        self.specimens().iter().map(row).collect()
    }

    /// The objects of a class over all images, by unit: lengths in µm and in pixels are not mixed.
    fn class_objects(&self, class: u8) -> Vec<ClassObjects> {
        let of_unit = |unit: Unit| {
            let fields: Vec<&Field> = self.fields.iter().filter(|field| field.result.measured.unit == unit).collect();
            let objects: Vec<Object> = fields.iter().flat_map(|field| field.result.objects(class)).copied().collect();
            let lengths = fields.iter().filter_map(|field| field.result.measured.intercepts[usize::from(class)]);
            let lengths: Vec<f64> = lengths.collect();
            let mean = (!lengths.is_empty()).then(|| lengths.iter().sum::<f64>() / lengths.len() as f64);
            let unit = unit.symbol().to_owned();
            (!fields.is_empty()).then(|| ClassObjects { class: class.into(), unit, objects, mean_intercept: mean })
        };
        [Unit::Micrometre, Unit::Pixel].into_iter().filter_map(of_unit).collect()
    }
}

fn image(field: &Field, fractions: &[ClassFraction]) -> PredictedImage {
    let result = &field.result;
    let files = &result.files;
    PredictedImage {
        image: result.image.clone(),
        thumbnail: files.thumbnail.clone().unwrap_or_default(),
        overlay: files.overlay.clone().unwrap_or_default(),
        size: (result.width, result.height),
        pixel_size_nm: result.pixel_size_nm.map(|[across, down]| (across * down).sqrt()),
        fractions: fractions.to_vec(),
        unusual: result.unusual.clone(),
    }
}
