//! `fractions.csv`: a row for each image and class.

use super::number::{estimate, measure};
use super::{Field, Results};
use crate::measure::Unit;
use crate::reference::flag;
use anyhow::Result;
use matssl_metrics::ObjectSummary;

/// Columns that are always there.
const COLUMNS: [&str; 20] = [
    "image",
    "specimen",
    "class",
    "pixels",
    "width",
    "height",
    "pixel_width_nm",
    "pixel_height_nm",
    "area_um2",
    "fraction",
    "low",
    "high",
    "corrected",
    "corrected_low",
    "corrected_high",
    "mean_intercept",
    "unit",
    "mask",
    "flags",
    "ignored",
];
/// Columns of objects, where any are measured.
pub(super) const OBJECTS: [&str; 6] = [
    "objects",
    "objects_at_edge",
    "objects_per_area",
    "mean_equivalent_diameter",
    "mean_aspect_ratio",
    "mean_nearest_neighbour",
];

impl Results {
    /// The table: pixels and area of the class, area fractions (0 to 1) with their 95 % intervals, lengths in `unit`, numbers of objects by its square. A cell
    /// is empty where a value is not known.
    ///
    /// # Errors
    /// If the csv writer refuses it.
    pub fn fractions_csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let objects: &[&str] = if self.objects.is_empty() { &[] } else { &OBJECTS };
        writer.write_record(COLUMNS.iter().chain(objects))?;
        for (field, fractions) in self.fields.iter().zip(&self.fractions) {
            let totals = field.result.measured.counts.totals();
            for (class, (fraction, pixels)) in fractions.iter().zip(totals).enumerate() {
                let [raw, low, high] = estimate(Some(&fraction.raw));
                let [corrected, corrected_low, corrected_high] = estimate(fraction.corrected.as_ref());
                let mut row = self.beginning(field, class, pixels);
                row.extend([raw, low, high, corrected, corrected_low, corrected_high]);
                row.extend(self.end(field, class));
                if !self.objects.is_empty() {
                    row.extend(self.object_cells(field, class as u8));
                }
                writer.write_record(row)?;
            }
        }
        Ok(writer.into_inner()?)
    }

    fn beginning(&self, field: &Field, class: usize, pixels: u64) -> Vec<String> {
        let result = &field.result;
        let [across, down] = result.pixel_size_nm.map_or([None; 2], |size| size.map(Some));
        vec![
            result.image.clone(),
            field.specimen.clone().unwrap_or_default(),
            self.classes()[class].name.clone(),
            pixels.to_string(),
            result.width.to_string(),
            result.height.to_string(),
            measure(across),
            measure(down),
            measure(result.pixel_area_um2().map(|area| area * pixels as f64)),
        ]
    }

    fn end(&self, field: &Field, class: usize) -> [String; 5] {
        [
            measure(field.result.measured.intercepts[class]),
            field.result.measured.unit.symbol().to_owned(),
            field.result.files.mask.clone(),
            flags(&field.result.unusual),
            self.classes()[class].ignored.to_string(),
        ]
    }

    fn object_cells(&self, field: &Field, class: u8) -> [String; 6] {
        let measured = self.objects.contains(&class);
        let of = measured.then(|| ObjectSummary::of(field.result.objects(class), field.result.area()));
        object_cells(of)
    }
}

/// Of a class whose objects are measured; otherwise empty.
pub(super) fn object_cells(of: Option<ObjectSummary>) -> [String; 6] {
    let Some(of) = of else { return Default::default() };
    let ObjectSummary { count, at_edge, per_area, diameter, aspect_ratio, nearest, .. } = of;
    [
        count.to_string(),
        at_edge.to_string(),
        measure(per_area),
        measure(diameter.map(|distribution| distribution.mean)),
        measure(aspect_ratio.map(|distribution| distribution.mean)),
        measure(nearest.map(|distribution| distribution.mean)),
    ]
}

/// The short names of `sentences`; predict.json and the page have the sentences.
fn flags(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| flag(sentence)).collect::<Vec<_>>().join("; ")
}

/// The unit's symbol, or `mixed`.
pub(super) fn unit_cell(unit: Option<Unit>) -> String {
    unit.map_or("mixed", Unit::symbol).to_owned()
}
