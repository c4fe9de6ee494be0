//! The tables that an evaluation leaves.

use crate::metrics::{Confusion, ImageScores};
use std::path::Path;

/// Scores as shares; empty where there is none.
pub(super) fn write_per_image(path: &Path, classes: &[String], images: &[ImageScores]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    let header = ["image", "miou", "mean_dice", "pixel_accuracy"].map(str::to_owned).into_iter();
    writer.write_record(header.chain(classes.iter().map(|class| format!("iou_{class}"))))?;
    for scores in images {
        let means = [scores.miou, scores.mean_dice, scores.pixel_accuracy].into_iter();
        let shares = means.chain(scores.iou.iter().copied());
        let shares = shares.map(|share| share.map_or_else(String::new, |share| share.to_string()));
        writer.write_record(std::iter::once(scores.image.clone()).chain(shares))?;
    }
    writer.flush()?;
    Ok(())
}

pub(super) fn write_confusion(path: &Path, classes: &[String], confusion: &Confusion) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(std::iter::once("truth").chain(classes.iter().map(String::as_str)))?;
    for (truth, class) in classes.iter().enumerate() {
        let counts = (0..classes.len()).map(|prediction| confusion.count(truth, prediction).to_string());
        writer.write_record(std::iter::once(class.clone()).chain(counts))?;
    }
    writer.flush()?;
    Ok(())
}

/// `image,truth,CLASS,…`: the matrix of each image as [`write_confusion`] writes that of all, image after image.
pub(super) fn write_per_image_confusion<'a>(
    path: &Path,
    classes: &[String],
    images: impl Iterator<Item = (&'a str, &'a Confusion)>,
) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["image", "truth"].into_iter().chain(classes.iter().map(String::as_str)))?;
    for (image, confusion) in images {
        for (truth, class) in classes.iter().enumerate() {
            let counts = (0..classes.len()).map(|prediction| confusion.count(truth, prediction).to_string());
            writer.write_record([image.to_owned(), class.clone()].into_iter().chain(counts))?;
        }
    }
    writer.flush()?;
    Ok(())
}

/// The images that [`write_per_image_confusion`] wrote, each with its matrix, in their order.
///
/// # Errors
/// If the file cannot be read or is not what was written.
pub(in crate::stage) fn read_per_image_confusion(path: &Path) -> anyhow::Result<Vec<(String, Confusion)>> {
    let mut reader = csv::Reader::from_path(path)?;
    let classes = reader.headers()?.len().saturating_sub(2);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let counts = record.iter().skip(2).map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        rows.push((record.get(0).unwrap_or_default().to_owned(), counts));
    }
    let images = rows.chunks(classes.max(1)).map(|rows| {
        let counts = rows.iter().flat_map(|(_, counts)| counts.iter().copied()).collect();
        let confusion = Confusion::from_counts(classes, counts);
        Ok((rows[0].0.clone(), confusion.ok_or_else(|| anyhow::anyhow!("the matrix of {} is not square", rows[0].0))?))
    });
    images.collect()
}
