//! `README.md` of a model folder.

use super::description::{ModelDescription, SplitScores};
use super::ensemble::EnsembleDescription;
use super::folder::ModelFolder;
use super::python::{packages, python};
use matssl_metrics::Calibration;
use matssl_train::networks::Architecture;
use std::fmt::Write;

/// The text about the model that `description` describes.
pub(super) fn readme(description: &ModelDescription) -> String {
    let encoder = &description.network.encoder;
    let architecture = description.network.architecture.name();
    let mut text = format!("# {}\n\n", plain(&description.name));
    let _ = writeln!(
        text,
        "A {architecture} with a {arch} encoder (width {width}{variant}) that segments micrographs. It was trained by \
         matssl-run.\n\n\
         | file | what |\n| --- | --- |\n\
         | `{weights}` | the weights, with {names} |\n\
         | `{json}` | everything else that a program needs: network, classes, normalisation, tiles, scores, origin |",
        arch = encoder.arch(),
        width = encoder.width(),
        variant = encoder.variant().map_or_else(String::new, |variant| format!(", {}", variant.name())),
        weights = ModelFolder::WEIGHTS,
        names = names(description.network.architecture),
        json = ModelFolder::DESCRIPTION,
    );
    if description.files.contains_key(ModelFolder::REFERENCE) {
        let _ = writeln!(text, "| `{}` | what the training images look like |", ModelFolder::REFERENCE);
    }
    if description.files.contains_key(ModelFolder::ONNX) {
        let _ = writeln!(
            text,
            "| `{}` | the network for ONNX; its input is pixels from 0 to 255, not normalised as in the Python lines below |",
            ModelFolder::ONNX
        );
    }
    let _ = writeln!(text, "\n## Predict\n\n    matssl-run predict FOLDER IMAGES -o OUT\n\nFOLDER is this folder.\n");
    classes(description, &mut text);
    images(description, &mut text);
    scores(description, &mut text);
    match python(description) {
        Some(lines) => with_python(description, &lines, &mut text),
        None => {
            let _ = writeln!(
                text,
                "## Python\n\nThere are no lines of Python for this network: segmentation_models_pytorch has none like it. \
                 `matssl-run predict` applies it. `{}` can be read with `safetensors`, by its names.",
                ModelFolder::WEIGHTS
            );
        }
    }
    origin(description, &mut text);
    text
}

/// Whose names the weights have.
fn names(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::UnetPlusPlus | Architecture::Unet => "the names of segmentation_models_pytorch",
        Architecture::SwinUnet | Architecture::CsUnet => "the names of the authors of the network",
        Architecture::Linear | Architecture::Conv | Architecture::Hypercolumn => "the published names below `encoder.`",
    }
}

fn with_python(description: &ModelDescription, lines: &str, text: &mut String) {
    let _ = writeln!(
        text,
        "## Python\n\n\
         These lines run in this folder, with `pip install {}`. They predict the whole image in one piece; for a large one cut \
         tiles of {tile} pixels. `matssl-run predict` works in tiles of {tile} pixels, mirrored at the edges of the image, and \
         averages where they overlap, so some labels differ from those of one piece, mostly near edges.\n\n```python\n{}```",
        packages(description),
        lines,
        tile = description.tile,
    );
}

fn classes(description: &ModelDescription, text: &mut String) {
    text.push_str("## Classes\n\n| index | name | value in masks | colour |\n| --- | --- | --- | --- |\n");
    for (index, class) in description.classes.iter().enumerate() {
        let ignored = if class.ignored { " (left out of means)" } else { "" };
        let _ = writeln!(text, "| {index} | {}{ignored} | {} | `{}` |", plain(&class.name), class.value, class.color);
    }
    text.push('\n');
}

fn images(description: &ModelDescription, text: &mut String) {
    let normalisation = &description.normalisation;
    let _ = writeln!(
        text,
        "## Images\n\nThe network takes images of 8 bits with {} whose sides are {}. Each value is normalised: `(value \
         / 255 - mean) / std` with the mean {} and the standard deviation {}{}.",
        match description.network.encoder.in_channels() {
            1 => "one channel (grey)".to_owned(),
            3 => "three channels (RGB; a grey image has three equal ones)".to_owned(),
            channels => format!("{channels} channels"),
        },
        description.network.sides(),
        numbers(&normalisation.mean),
        numbers(&normalisation.std),
        if normalisation.mean.len() > 1 { " by channel" } else { "" },
    );
    let options = &description.read_as.options;
    let mut notes = Vec::new();
    if let Some(bits) = options.bits {
        notes.push(format!("Images of more than 8 bits were read as {bits} bits, scaled to 8."));
    }
    if let Some([black, white]) = options.range {
        notes.push(format!("Values of images from {black} to {white} were scaled to 0 to 255."));
    }
    if let Some(page) = options.page {
        notes.push(format!("Of images with several pages, page {page} was read."));
    }
    if let Some(channels) = &options.channels {
        notes.push(format!("The channels {channels:?} (from 0) were read."));
    }
    if let Some(crop) = &description.read_as.crop {
        let cut = crop.in_words();
        notes.push(format!("Cut off before training: {cut}; `predict` does it too, the Python lines below do not."));
    }
    match (description.pixel_size_nm, description.pixel_sizes_nm) {
        (Some(size), _) => {
            notes.push(format!("A pixel of the training images is {size} nm wide; scale others to that."))
        }
        (None, Some([least, most])) => {
            notes.push(format!("A pixel of the training images is {least} to {most} nm wide."));
        }
        (None, None) => notes.push("The size of a pixel of the training images is not known.".into()),
    }
    notes.push(format!("It was trained on crops of {} pixels.", description.tile));
    for note in notes {
        let _ = writeln!(text, "- {note}");
    }
    text.push('\n');
}

fn scores(description: &ModelDescription, text: &mut String) {
    if !description.scores.is_empty() {
        text.push_str("## Scores\n\nIoU in per cent, over the pixels of all images of a split.\n\n| split | data set | images | mIoU |");
        description.classes.iter().for_each(|class| {
            let _ = write!(text, " {} |", plain(&class.name));
        });
        let columns = 4 + description.classes.len();
        let _ = writeln!(text, "\n|{}", " --- |".repeat(columns));
        for SplitScores { split, dataset, images, miou, iou, .. } in &description.scores {
            let _ = write!(text, "| {split} | {} | {images} | {} |", plain(dataset), percent(*miou));
            iou.iter().for_each(|iou| {
                let _ = write!(text, " {} |", percent(*iou));
            });
            text.push('\n');
        }
        text.push('\n');
    }
    if let Some(calibration) = &description.calibration {
        let [before, after] = calibration.expected_error;
        let _ = writeln!(
            text,
            "Calibration on the validation images: temperature {:.3}; expected calibration error {:.2} %, before {:.2} %.\n",
            calibration.temperature,
            100.0 * after,
            100.0 * before
        );
        if Calibration::BOUNDS.contains(&calibration.temperature) {
            let _ = writeln!(
                text,
                "The temperature is at its bound, so the calibration says little: the validation images are too few, or almost all \
                 of their pixels are right or wrong.\n"
            );
        }
    }
}

fn origin(description: &ModelDescription, text: &mut String) {
    let provenance = &description.provenance;
    text.push_str("\n## Origin\n\n");
    let seed = provenance.seed.map(|seed| seed.to_string()).unwrap_or_default();
    let facts = [
        ("experiment", &provenance.experiment),
        ("stage", &provenance.stage),
        ("seed", &seed),
        ("key", &provenance.key),
        ("program", &provenance.program),
    ];
    for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "- {name}: {}", plain(value));
    }
    for (input, content) in &provenance.inputs {
        let _ = writeln!(text, "- input {}: {content}", plain(input));
    }
}

/// The text about an ensemble of `models`.
pub(super) fn ensemble_readme(description: &EnsembleDescription, models: &[ModelFolder]) -> String {
    let mut text = format!(
        "# {}\n\n{} models that predict together: the plain mean of their probabilities, without the temperatures \
         of their calibrations. `matssl-run predict FOLDER IMAGES -o OUT` with \
         this folder does that. Each folder is a model by itself; its `{}` shows how Python loads it.\n\n| folder | model | mIoU \
         (val) |\n| --- | --- | --- |\n",
        plain(&description.name),
        models.len(),
        ModelFolder::README,
    );
    for (member, model) in description.ensemble.iter().zip(models) {
        let val = model.description.scores.iter().find(|scores| scores.split == "val").and_then(|scores| scores.miou);
        let _ = writeln!(text, "| `{}` | {} | {} |", member.folder, plain(&model.description.name), percent(val));
    }
    text
}

/// A name in Markdown: in one line, and without the signs that Markdown understands.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '<' | '[' | ']' | '#' => plain.extend(['\\', c]),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

fn numbers(values: &[f32]) -> String {
    values.iter().map(f32::to_string).collect::<Vec<_>>().join(", ")
}

/// With two digits; `–` if there is none.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".into(), |share| format!("{:.2}", 100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_break_no_table() {
        assert_eq!(plain("a|b_c\nd"), "a\\|b\\_c d");
        assert_eq!((percent(Some(0.51234)), percent(None)), ("51.23".into(), "–".into()));
    }
}
