//! `overlay`: draws predictions next to the truth.

use super::errors::data_error;
use super::evaluate::{Part, prediction_files};
use super::missing::Missing;
use super::outlook::{Outlook, Scores};
use super::table::{by_label, read_evaluation};
use super::{Context, DATASET, Foresight, Known, Progress, StageError, StageKind, open_dataset};
use crate::data::{Entry, IGNORE, Manifest, PixelSize, PixelSizes, decode};
use crate::experiment::{Input, ReferenceSpec, Section};
use crate::report::overlay::{Panels, Scale};
use crate::report::{self, FileName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[[overlays]]`. Writes `FILE/LABEL/IMAGE.png` for each label of `rows` (its lowest seed) and each evaluated image.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Overlay {
    /// Name of the folder.
    file: FileName,
    /// Evaluations.
    rows: Input,
    /// The data set of these evaluations.
    dataset: Input,
    /// Size of a pixel of the downloaded images: `"0.05 µm"`, or the length of a scale bar and its pixels, `"5 µm / 504
    /// px"`. For all images, or a table by file stem or file name (`"*"`: all others). Without it, scale bars have the size that
    /// the data set knows, or are in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pixel_size: Option<PixelSizes>,
    /// What becomes of rows whose weight files or data sets are not there.
    #[serde(default, skip_serializing_if = "Missing::is_default")]
    missing: Missing,
}

/// A warning if `sizes` name images that the data set `name` does not have.
fn unknown_images(sizes: &PixelSizes, manifest: &Manifest, name: &str) -> Option<String> {
    /// Maximum number of names that are listed.
    const MOST: usize = 3;
    let unknown = sizes.unknown(manifest.images.iter().map(|entry| entry.image.as_str()));
    let more = if unknown.len() > MOST { format!(" and {} more", unknown.len() - MOST) } else { String::new() };
    let (noun, none) = if unknown.len() == 1 { ("the image", "no such image") } else { ("images", "no such images") };
    let shown = unknown[..unknown.len().min(MOST)].join(", ");
    (!unknown.is_empty()).then(|| format!("`pixel_size` names {noun} {shown}{more}, but data set {name} has {none}"))
}

/// The scale of an image as it is read: by the overlay's `pixel_size`, or by what the data set knows. A pixel is larger if
/// the image is resized to fewer pixels.
fn scale(sizes: Option<&PixelSizes>, entry: &Entry) -> Option<Scale> {
    let given = sizes.and_then(|sizes| sizes.of(&entry.image)).and_then(PixelSize::micrometres);
    let Some(size) = given else {
        let [across, down] = entry.pixel_size?.map(|nanometres| nanometres / 1e3);
        return Some(Scale { across, down });
    };
    let (width, height) = entry.cropped();
    let resized = |from: usize, to: usize| size * from as f64 / to as f64;
    Some(Scale { across: resized(width, entry.width), down: resized(height, entry.height) })
}

fn other_data(label: &str) -> String {
    format!("{label} was not evaluated on the data set of this overlay")
}

/// Whether the images that `scores` scores are those of `manifest`.
fn is_of(scores: &Scores, manifest: &Manifest) -> bool {
    let images = |manifest: &Manifest| {
        let entries = manifest.entries(scores.split);
        let sizes: Vec<_> = entries.iter().map(|entry| (entry.width, entry.height)).collect();
        (prediction_files(&entries), sizes)
    };
    std::ptr::eq(scores.manifest.as_ref(), manifest) || images(&scores.manifest) == images(manifest)
}

impl StageKind for Overlay {
    const KIND: &'static str = "overlay";
    const CODE_VERSION: u32 = 3;
    const SECTION: Section = Section::Overlays;
    const LABELLED: bool = true;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many("rows", &["evaluate"]).of_all_seeds(), DATASET];

    fn tolerates(&self) -> bool {
        self.missing == Missing::LeaveOut
    }

    fn without(&self, _absent: &BTreeMap<String, String>) -> Option<Self> {
        if !self.tolerates() {
            return None;
        }
        serde_json::from_value(serde_json::to_value(self).ok()?).ok()
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let Some((name, manifest)) = Outlook::images(known, "dataset") else { return Foresight::nothing() };
        let mut problems: Vec<String> = Vec::new();
        for input in known.inputs("rows") {
            if let Some(Outlook::Scores(scores)) = Outlook::of(input)
                && !is_of(scores, manifest)
                && !problems.contains(&other_data(input.label))
            {
                problems.push(other_data(input.label));
            }
        }
        let warnings =
            self.pixel_size.as_ref().and_then(|sizes| unknown_images(sizes, manifest, name)).into_iter().collect();
        Foresight { problems, warnings, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        let inputs = context.inputs("rows").to_vec();
        let labels = by_label(&inputs);
        let folders = report::safe_names(labels.iter().map(|(label, _)| *label));
        let mut done = 0;
        for (number, ((label, seeds), folder)) in labels.iter().zip(folders).enumerate() {
            let evaluated = seeds[0];
            let split = read_evaluation(evaluated)?.split;
            let entries = Part::named(&split).map(|part| dataset.entries(part.split())).unwrap_or_default();
            let names = prediction_files(&entries);
            let predictions = evaluated.files.keys().filter(|name| name.starts_with("predictions/")).count();
            let other_data = || StageError::BadData(other_data(label));
            if predictions != entries.len() {
                return Err(other_data());
            }
            let folder = context.out.join(self.file.as_str()).join(folder);
            std::fs::create_dir_all(&folder)?;
            for (entry, name) in entries.iter().zip(&names) {
                let path = evaluated.files.get(&format!("predictions/{name}")).ok_or_else(other_data)?;
                let prediction = decode::decode_mask(path, &std::fs::read(path)?, None).map_err(data_error)?;
                let (image, truth) = dataset.read(entry).map_err(data_error)?;
                let image = image.visible();
                let (Some(truth), true) = (truth, (prediction.width, prediction.height) == (image.width, image.height))
                else {
                    return Err(other_data());
                };
                let picture = Panels {
                    width: image.width,
                    height: image.height,
                    image: &image.pixels,
                    channels: image.channels,
                    truth: &truth.labels,
                    prediction: &prediction.labels,
                    ignore: Some(IGNORE),
                    classes: &dataset.manifest.classes,
                    scale: scale(self.pixel_size.as_ref(), entry),
                };
                std::fs::write(folder.join(name), report::png_rgb(&picture.render()?)?)?;
                done += 1;
                // An estimate of the total: labels usually share their images.
                let total = (done + ((labels.len() - number - 1) * entries.len()) as u64).max(done);
                context.progress(Progress { done, total, unit: "image".into(), ..Progress::default() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::tests::{context, dataset, evaluated, params};
    use super::*;

    #[test]
    fn draws_each_image_for_the_lowest_seed() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = dataset(folder.path());
        let rows = vec![
            evaluated(folder.path(), &dataset, "MatSSL (ours)", Some(7), 1),
            evaluated(folder.path(), &dataset, "MatSSL (ours)", Some(3), 0),
        ];
        let mut context = context(folder.path(), [("rows", rows), ("dataset", vec![dataset])]);
        let overlay: Overlay = params(r#"{ "file": "steel", "rows": "<input>", "dataset": "<input>" }"#);
        overlay.run(&mut context).unwrap();
        let folder = context.out.join("steel/MatSSL--ours-");
        let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.png", "b.png"]);
        // The lowest seed predicts class 0 everywhere: the centre of the third panel is dark.
        let picture = image::open(folder.join("a.png")).unwrap().to_rgb8();
        let middle = picture.get_pixel(3 * 8 + 2 * 256 + 128, 26 + 64);
        assert_eq!(middle.0, [0x2b, 0x2f, 0x36]);
    }

    #[test]
    fn the_scale_takes_resizing_into_account() {
        let mut entry: Entry = serde_json::from_str(
            r#"{ "image": "a/b.jpg", "image_digest": "", "mask": null, "mask_digest": null, "width": 256, "height": 256,
                "channels": 1, "split": "test", "class_pixels": [] }"#,
        )
        .unwrap();
        let scale = |sizes: &str, entry: &Entry| {
            let overlay: Overlay = params(&format!(
                r#"{{ "file": "x", "rows": "<input>", "dataset": "<input>", "pixel_size": {sizes} }}"#
            ));
            super::scale(overlay.pixel_size.as_ref(), entry).map(|scale| (scale.across, scale.down))
        };
        assert_eq!(scale(r#""0.5 µm""#, &entry), Some((0.5, 0.5)));
        entry.resized_from = Some((1024, 512));
        assert_eq!(scale(r#""0.5 µm""#, &entry), Some((2.0, 1.0)));
        assert_eq!(scale(r#"{ "*": "1 µm", "b": "0.5 µm" }"#, &entry), Some((2.0, 1.0)));
        assert_eq!(scale(r#"{ "*": "1 µm", "c": "0.5 µm" }"#, &entry), Some((4.0, 2.0)));
        assert_eq!(scale(r#"{ "c": "0.5 µm" }"#, &entry), None);
        // What the data set knows is used where the overlay says nothing, and is of the image as it is read.
        entry.pixel_size = Some([100.0, 50.0]);
        assert_eq!(scale(r#"{ "c": "0.5 µm" }"#, &entry), Some((0.1, 0.05)));
        assert_eq!(scale(r#""0.5 µm""#, &entry), Some((2.0, 1.0)));
        let without = r#"{"file":"x","rows":"<input>","dataset":"<input>"}"#;
        assert_eq!(serde_json::to_string(&params::<Overlay>(without)).unwrap(), without, "keys stay as they were");
    }

    #[test]
    fn predictions_for_other_images_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = dataset(folder.path());
        let mut row = evaluated(folder.path(), &dataset, "x", None, 0);
        row.files.remove("predictions/b.png");
        let mut context = context(folder.path(), [("rows", vec![row]), ("dataset", vec![dataset])]);
        let overlay: Overlay = params(r#"{ "file": "steel", "rows": "<input>", "dataset": "<input>" }"#);
        let error = overlay.run(&mut context).unwrap_err();
        assert_eq!(error.to_string(), "x was not evaluated on the data set of this overlay");
    }
}
