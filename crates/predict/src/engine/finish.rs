//! From blended rows to bands at the size of the image's pixels, with the temperature of the calibration.

use super::Band;
use super::calibrated;
use super::interpolated::Interpolated;
use anyhow::Result;
use matssl_train::train::inference::Finished;
use rayon::prelude::*;

/// Maximum number of probabilities in a band: 16 MiB. A band has at least one row.
pub(super) const BAND: usize = 1 << 22;

/// Makes bands.
pub(super) struct Finish {
    pub(super) width: usize,
    pub(super) classes: usize,
    pub(super) temperature: f64,
    /// For an image that was scaled: from the model's pixels to the image's, of the probabilities and the disagreement.
    pub(super) scaled: Option<[Interpolated; 2]>,
}

impl Finish {
    /// Hands the bands that are known with the next rows to `take`.
    ///
    /// # Errors
    /// Those of `take`.
    pub(super) fn add(&mut self, finished: Finished, take: &mut dyn FnMut(Band) -> Result<()>) -> Result<()> {
        let Finished { rows, disagreement } = finished;
        let (width, classes) = (self.width, self.classes);
        let Some([probabilities, mutual]) = &mut self.scaled else {
            let band = Band {
                top: rows.top,
                rows: rows.rows,
                width,
                labels: rows.labels,
                probabilities: rows.probabilities,
                disagreement,
            };
            return take(calibrate(band, classes, self.temperature));
        };
        probabilities.push(&rows.probabilities);
        if let Some(rows) = &disagreement {
            mutual.push(rows);
        }
        let most = (BAND / (width * classes)).max(1);
        loop {
            let ready = probabilities.ready();
            let rows = ready.len().min(most);
            if rows == 0 {
                return Ok(());
            }
            let values = probabilities.take(most);
            let labels = values.par_chunks(classes).with_min_len(1 << 12).map(most_probable).collect();
            let disagreement = disagreement.as_ref().map(|_| mutual.take(most));
            let band = Band { top: ready.start, rows, width, labels, probabilities: values, disagreement };
            take(calibrate(band, classes, self.temperature))?;
        }
    }
}

fn calibrate(mut band: Band, classes: usize, temperature: f64) -> Band {
    calibrated::apply(&mut band.probabilities, classes, temperature);
    band
}

/// The class of the largest value; the first of equal ones.
fn most_probable(values: &[f32]) -> u8 {
    (1..values.len()).fold(0, |best, class| if values[class] > values[best] { class } else { best }) as u8
}
