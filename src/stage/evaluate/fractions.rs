//! True and predicted area fractions of each image.

use super::super::StageError;
use crate::data::{IGNORE, Mask};
use crate::metrics::{BlockCounts, Confusion, Estimate, fractions};
use anyhow::Context as _;
use matssl_predict::reference::Reference;
use std::path::Path;

/// The area fraction of each class in each image: true, predicted, and corrected by the errors on the model's validation images.
/// Only pixels whose true class is known are counted.
pub(super) struct FractionTable<'c> {
    classes: &'c [String],
    rows: Vec<[String; 9]>,
}

impl<'c> FractionTable<'c> {
    /// File name in the output of the stage.
    pub(super) const FILE: &'static str = "fractions.csv";

    const HEADER: [&'static str; 9] =
        ["image", "class", "true", "raw", "raw_low", "raw_high", "corrected", "corrected_low", "corrected_high"];

    /// A table without images.
    pub(super) fn new(classes: &'c [String]) -> Self {
        FractionTable { classes, rows: Vec::new() }
    }

    /// Adds an image. An image that is itself one of the validation images of the `reference` is not corrected by its own errors.
    pub(super) fn add(&mut self, image: &str, truth: &Mask, prediction: &Mask, reference: Option<&Reference>) {
        let counts = known_counts(self.classes.len(), truth, prediction);
        let mut pixels = vec![0u64; self.classes.len()];
        for &label in truth.labels.iter().filter(|&&label| label != IGNORE) {
            pixels[usize::from(label)] += 1;
        }
        let all = pixels.iter().sum::<u64>();
        let validation: Vec<Confusion> = reference
            .iter()
            .flat_map(|reference| &reference.validation)
            .filter(|known| known.image != image)
            .map(|known| known.confusion.clone())
            .collect();
        let estimated = fractions(&[&counts], &validation);
        for ((class, &pixels), fraction) in self.classes.iter().zip(&pixels).zip(estimated) {
            let mut row = [const { String::new() }; 9];
            row[0] = image.to_owned();
            row[1].clone_from(class);
            if all > 0 {
                row[2] = (pixels as f64 / all as f64).to_string();
                row[3..6].clone_from_slice(&cells(Some(fraction.raw)));
                row[6..].clone_from_slice(&cells(fraction.corrected));
            }
            self.rows.push(row);
        }
    }

    /// Writes the table into `folder`: a row for each class of each image; empty cells where nothing can be said.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<(), StageError> {
        let path = folder.join(Self::FILE);
        let write = || -> csv::Result<()> {
            let mut writer = csv::Writer::from_path(&path)?;
            writer.write_record(Self::HEADER)?;
            for row in &self.rows {
                writer.write_record(row)?;
            }
            Ok(writer.flush()?)
        };
        Ok(write().with_context(|| format!("cannot write {}", path.display()))?)
    }
}

/// Value, lower and upper end.
fn cells(estimate: Option<Estimate>) -> [String; 3] {
    let Some(Estimate { value, interval }) = estimate else { return Default::default() };
    let [low, high] = interval.map_or_else(Default::default, |ends| ends.map(|end| end.to_string()));
    [value.to_string(), low, high]
}

/// The predicted classes of the pixels whose true class is known, by block.
fn known_counts(classes: usize, truth: &Mask, prediction: &Mask) -> BlockCounts {
    let mut counts = BlockCounts::for_image(classes, (prediction.width, prediction.height));
    let columns = prediction.width.div_ceil(counts.side);
    let known = prediction.labels.iter().zip(&truth.labels).enumerate().filter(|(_, (_, truth))| **truth != IGNORE);
    for (i, (&label, _)) in known {
        let (x, y) = (i % prediction.width, i / prediction.width);
        let block = y / counts.side * columns + x / counts.side;
        counts.counts[block * classes + usize::from(label)] += 1;
    }
    counts
}
