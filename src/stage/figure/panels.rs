//! From evaluations to the panels of a figure: one a label, over all its seeds.

use super::super::table::{by_label, read_evaluation};
use super::super::{InputFiles, StageError};
use crate::metrics::{Confusion, Evaluation, ImageConfusions, Reliability};
use crate::report::{ConfusionPanel, ReliabilityPanel};
use anyhow::Context as _;
use serde::Deserialize;

/// The confusion matrix of each label, summed over its seeds and images.
///
/// # Errors
/// If a file cannot be read, or the seeds of a label have different classes.
pub(super) fn confusion(inputs: &[InputFiles]) -> Result<Vec<ConfusionPanel>, StageError> {
    let mut panels = Vec::new();
    for (label, seeds) in by_label(inputs) {
        let mut panel: Option<ConfusionPanel> = None;
        for input in &seeds {
            let evaluation = read_evaluation(input)?;
            let classes: Vec<String> = evaluation.classes.into_iter().map(|class| class.name).collect();
            let ImageConfusions(matrices) = ImageConfusions::read(input.file(ImageConfusions::FILE)?)
                .with_context(|| format!("the images of {}", input.label))?;
            let sum = panel.get_or_insert_with(|| ConfusionPanel {
                label: label.to_owned(),
                detail: detail(&evaluation.split, seeds.len(), "sum of "),
                confusion: Confusion::new(classes.len()),
                classes: classes.clone(),
            });
            if sum.classes != classes || matrices.iter().any(|(_, matrix)| matrix.classes() != classes.len()) {
                return Err(StageError::BadData(format!("the evaluations of {label} have different classes")));
            }
            matrices.iter().for_each(|(_, matrix)| sum.confusion.merge(matrix));
        }
        panels.extend(panel);
    }
    Ok(panels)
}

/// What the two diagrams of a label are of.
const BEFORE: &str = "before";
const AFTER: &str = "with temperature";

/// What `evaluate` says of the model's probabilities, in [`Evaluation::FILE`].
#[derive(Deserialize)]
struct Scored {
    calibration: Option<Measured>,
}

/// Bins before and after the model's temperature.
#[derive(Deserialize)]
struct Measured {
    before: Reliability,
    after: Option<Reliability>,
}

/// Two diagrams for each label, over all its seeds: with the probabilities as they are, and divided by the model's temperature
/// if it has one.
///
/// # Errors
/// If a file cannot be read, or says nothing of calibration.
pub(super) fn reliability(inputs: &[InputFiles]) -> Result<Vec<ReliabilityPanel>, StageError> {
    let mut panels = Vec::new();
    for (label, seeds) in by_label(inputs) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for input in &seeds {
            let text = std::fs::read(input.file(Evaluation::FILE)?)?;
            let scored: Scored =
                serde_json::from_slice(&text).with_context(|| format!("metrics of {}", input.label))?;
            let Some(measured) = scored.calibration else {
                let cure = "its model was trained without validation images, so it has no temperature";
                return Err(StageError::BadData(format!("the evaluation of {label} has no calibration: {cure}")));
            };
            before.push(measured.before);
            after.extend(measured.after);
        }
        let split = read_evaluation(seeds[0])?.split;
        let detail = detail(&split, seeds.len(), "");
        panels.push(pooled(label, &detail, BEFORE, &before));
        if after.len() == seeds.len() {
            panels.push(pooled(label, &detail, AFTER, &after));
        }
    }
    Ok(panels)
}

/// The bins of several seeds together. The expected calibration error is that of the pooled bins (Guo et al. 2017, eq. 3).
fn pooled(label: &str, detail: &str, state: &str, seeds: &[Reliability]) -> ReliabilityPanel {
    let bins = seeds.iter().map(|seed| seed.pixels.len()).max().unwrap_or(0);
    let mut all = Reliability { pixels: vec![0; bins], confidence: vec![0.0; bins], accuracy: vec![0.0; bins] };
    for seed in seeds {
        for (bin, ((&pixels, confidence), accuracy)) in
            seed.pixels.iter().zip(&seed.confidence).zip(&seed.accuracy).enumerate()
        {
            all.pixels[bin] += pixels;
            all.confidence[bin] += confidence * pixels as f64;
            all.accuracy[bin] += accuracy * pixels as f64;
        }
    }
    let mut difference = 0.0;
    for bin in 0..bins {
        difference += (all.confidence[bin] - all.accuracy[bin]).abs();
        let pixels = all.pixels[bin].max(1) as f64;
        all.confidence[bin] /= pixels;
        all.accuracy[bin] /= pixels;
    }
    let total = all.pixels.iter().sum::<u64>().max(1) as f64;
    ReliabilityPanel {
        label: label.to_owned(),
        detail: detail.to_owned(),
        state: state.to_owned(),
        expected_error: difference / total,
        reliability: all,
    }
}

/// `test images, sum of 3 seeds`.
fn detail(split: &str, seeds: usize, what: &str) -> String {
    match seeds {
        1 => format!("{split} images"),
        more => format!("{split} images, {what}{more} seeds"),
    }
}
