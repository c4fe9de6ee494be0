//! Whether models can predict together.

use crate::model::ModelFolder;
use anyhow::{Result, ensure};
use matssl_data::RGB;
use matssl_data::augment::{GREY_MEAN, GREY_STD, IMAGENET_MEAN, IMAGENET_STD};
use matssl_data::pixel_size::in_words;

/// The largest relative difference of two sizes of pixels that count as the same.
pub(super) const SAME_SIZE: f64 = 0.01;

/// The largest difference of two numbers of a normalisation that count as the same: those of float32 in decimal digits.
const SAME_NORMALISATION: f32 = 1e-6;

/// Whether two sizes of pixels, in any unit, count as the same.
pub(super) fn same_size(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() <= SAME_SIZE
}

/// Checks that all `folders` can predict one image together.
///
/// # Errors
/// If two are the same model. If two differ in their classes, channels, normalisation, size of pixels, or in how images are read: a sentence that names
/// both and what differs. If a normalisation is not one of this program.
pub(super) fn check(folders: &[ModelFolder]) -> Result<()> {
    ensure!(!folders.is_empty(), "no model to predict with; give at least one model folder");
    for folder in folders {
        check_normalisation(folder)?;
    }
    for (index, folder) in folders.iter().enumerate() {
        let hash = |folder: &ModelFolder| folder.description.files.get(ModelFolder::WEIGHTS).cloned();
        if let Some(twin) = folders[..index].iter().find(|other| hash(other).is_some() && hash(other) == hash(folder)) {
            anyhow::bail!(
                "{} and {} are the same model; give each model once",
                twin.path.display(),
                folder.path.display()
            );
        }
    }
    let first = &folders[0];
    for other in &folders[1..] {
        if let Some((what, a, b)) = difference(first, other) {
            anyhow::bail!(
                "{} and {} cannot predict together: {what} {a} in the first and {b} in the second; give models that were trained \
                 on the same classes and the same kind of images",
                first.path.display(),
                other.path.display()
            );
        }
    }
    Ok(())
}

/// What differs, and how in each of the two.
fn difference(a: &ModelFolder, b: &ModelFolder) -> Option<(&'static str, String, String)> {
    let (a, b) = (&a.description, &b.description);
    let pairs = [
        (
            "the classes are",
            [a, b].map(|model| names(&model.classes.iter().map(|class| &*class.name).collect::<Vec<_>>())),
        ),
        ("the number of channels is", [a, b].map(|model| model.network.encoder.in_channels().to_string())),
        ("the normalisation is", [a, b].map(|model| numbers(&model.normalisation.mean, &model.normalisation.std))),
        ("images are read", [a, b].map(|model| serde_json::to_string(&model.read_as).unwrap_or_default())),
    ];
    if let Some((what, [a, b])) = pairs.into_iter().find(|(_, [a, b])| a != b) {
        return Some((what, a, b));
    }
    let same = match (a.pixel_size_nm, b.pixel_size_nm) {
        (Some(a), Some(b)) => same_size(a, b),
        (a, b) => a == b,
    };
    let size = |size: Option<f64>| size.map_or("unknown".to_owned(), in_words);
    (!same).then(|| ("the size of a pixel is", size(a.pixel_size_nm), size(b.pixel_size_nm)))
}

fn names(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// To five digits after the point.
fn numbers(mean: &[f32], std: &[f32]) -> String {
    let list = |values: &[f32]| values.iter().map(|value| format!("{value:.5}")).collect::<Vec<_>>().join(", ");
    format!("mean {}, deviation {}", list(mean), list(std))
}

/// The network's input is made by [`matssl_data`], which normalises in one way by the number of channels.
fn check_normalisation(folder: &ModelFolder) -> Result<()> {
    let description = &folder.description;
    let channels = description.network.encoder.in_channels();
    let (mean, std) = match channels {
        RGB => (IMAGENET_MEAN.to_vec(), IMAGENET_STD.to_vec()),
        _ => (vec![GREY_MEAN; channels], vec![GREY_STD; channels]),
    };
    let close =
        |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= SAME_NORMALISATION);
    let found = &description.normalisation;
    ensure!(
        close(&found.mean, &mean) && close(&found.std, &std),
        "{}: its images are normalised with {}, and this program knows {} for {channels} channels; use the program that exported it",
        folder.path.display(),
        numbers(&found.mean, &found.std),
        numbers(&mean, &std)
    );
    Ok(())
}
