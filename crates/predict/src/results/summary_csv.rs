//! `summary.csv`: a row for each specimen and class.

use super::Results;
use super::fractions_csv::{OBJECTS, object_cells, unit_cell};
use super::number::{estimate, fraction, measure};
use anyhow::Result;

const COLUMNS: [&str; 12] = [
    "specimen",
    "class",
    "fields",
    "fraction",
    "low",
    "high",
    "deviation",
    "corrected",
    "corrected_low",
    "corrected_high",
    "mean_intercept",
    "unit",
];

impl Results {
    /// The table: means over the fields of a specimen (by area) with their 95 % intervals, and the standard deviation between
    /// fields.
    ///
    /// # Errors
    /// If the csv writer refuses it.
    pub fn summary_csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let objects: &[&str] = if self.objects.is_empty() { &[] } else { &OBJECTS };
        writer.write_record(COLUMNS.iter().chain(objects))?;
        for specimen in self.specimens() {
            for (class, of) in specimen.fractions.iter().enumerate() {
                let [raw, low, high] = estimate(Some(&of.fraction.raw));
                let [corrected, corrected_low, corrected_high] = estimate(of.fraction.corrected.as_ref());
                let mut row = vec![
                    specimen.name.clone(),
                    self.classes()[class].name.clone(),
                    of.fields.to_string(),
                    raw,
                    low,
                    high,
                    fraction(of.deviation),
                    corrected,
                    corrected_low,
                    corrected_high,
                    measure(specimen.mean_intercept(class)),
                    unit_cell(specimen.unit()),
                ];
                if !self.objects.is_empty() {
                    let is_measured = self.objects.contains(&(class as u8));
                    row.extend(object_cells(specimen.objects(class as u8).filter(|_| is_measured)));
                }
                writer.write_record(row)?;
            }
        }
        Ok(writer.into_inner()?)
    }
}
