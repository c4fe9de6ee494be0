//! Whether a description can be that of a model.

use super::description::{ClassDescription, ModelDescription, SplitScores};
use matssl_metrics::Reliability;
use matssl_train::train::inference::ModelConfig;
use std::collections::BTreeSet;

/// Largest side of a tile in pixels, as that of a crop in a training.
const MOST_TILE: usize = 4096;
/// Maximum number of classes: masks have one byte a pixel.
const MOST_CLASSES: usize = 256;

/// What is wrong in `description`, if something is.
pub(super) fn problem(description: &ModelDescription) -> Option<String> {
    let ModelDescription { network, classes, normalisation, tile, overlap, read_as, .. } = description;
    let count = network.classes;
    if classes.len() != count || count == 0 {
        return Some(format!("lists {} classes, but the network has {count} outputs", classes.len()));
    }
    if count > MOST_CLASSES {
        return Some(format!("lists {count} classes; at most {MOST_CLASSES} are possible"));
    }
    if let Some(problem) = twins(classes) {
        return Some(problem);
    }
    let channels = network.encoder.in_channels();
    let is_right =
        |values: &[f32], least: f32| values.len() == channels && values.iter().all(|v| v.is_finite() && *v > least);
    if !is_right(&normalisation.mean, f32::MIN) || !is_right(&normalisation.std, 0.0) {
        return Some(format!(
            "needs a finite `mean` and a positive `std` for each of the network's channels, of which there are {channels}"
        ));
    }
    if *tile == 0 || !tile.is_multiple_of(32) || *tile > MOST_TILE {
        return Some(format!("has tiles of {tile} pixels; expected a multiple of 32 up to {MOST_TILE}"));
    }
    if let Err(message) = network.check().and_then(|()| network.check_side(*tile)) {
        return Some(format!("has tiles of {tile} pixels and a network that do not go together: {message}"));
    }
    if !(0.0..1.0).contains(overlap) {
        return Some(format!("has an overlap of {overlap}; expected 0 to below 1"));
    }
    if let Some((name, problem)) = read_as.options.problem() {
        return Some(format!("has a wrong `{name}`: {problem}"));
    }
    let sizes = description.pixel_size_nm.into_iter().chain(description.pixel_sizes_nm.into_iter().flatten());
    if let Some(size) = sizes.into_iter().find(|size| !(size.is_finite() && *size > 0.0)) {
        return Some(format!("has a pixel size of {size} nm"));
    }
    if let Some(calibration) = &description.calibration {
        let is_whole = |bins: &Reliability| {
            [bins.confidence.len(), bins.accuracy.len(), bins.pixels.len()] == [Reliability::BINS; 3]
        };
        let temperature = calibration.temperature;
        if !(temperature.is_finite() && temperature > 0.0) {
            return Some(format!("has a calibration with the temperature {temperature}"));
        }
        if !is_whole(&calibration.before) || !is_whole(&calibration.after) {
            return Some(format!("has a calibration without {} bins", Reliability::BINS));
        }
    }
    let of_scores = |scores: &SplitScores| scores.confusion.as_ref().map_or(count, |matrix| matrix.classes());
    let matrices = description.validation.iter().map(|matrix| matrix.classes());
    let wrong = matrices.chain(description.scores.iter().map(of_scores)).find(|classes| *classes != count);
    wrong.map(|classes| format!("has a confusion matrix of {classes} classes for a network of {count}"))
}

/// Two classes of one name or one value.
fn twins(classes: &[ClassDescription]) -> Option<String> {
    let (mut names, mut values) = (BTreeSet::new(), BTreeSet::new());
    classes.iter().find_map(|class| match (names.insert(&class.name), values.insert(class.value)) {
        (false, _) => Some(format!("has two classes called {:?}", class.name)),
        (_, false) => Some(format!("has two classes with the value {}", class.value)),
        _ => None,
    })
}

/// What in `config`, which stands in the file of weights, contradicts `description`, if something does.
pub(super) fn contradiction(description: &ModelDescription, config: &ModelConfig) -> Option<String> {
    if config.network != description.network {
        return Some("holds the weights of another network than model.json says".into());
    }
    let names: Vec<&String> = description.classes.iter().map(|class| &class.name).collect();
    let theirs: Vec<&String> = config.class_names.iter().collect();
    (names != theirs).then(|| {
        let list = |names: &[&String]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        format!("was trained on the classes {}, but model.json lists {}", list(&theirs), list(&names))
    })
}
