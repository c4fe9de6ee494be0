//! Tests, and fixtures that the tests of `table`, `figure` and `overlay` also use.

use super::super::{InputFiles, Places};
use super::*;
use crate::data::Mask;
use crate::metrics::{Averaging, BlockCounts, Calibration, Reliability, fractions};
use matssl_predict::reference::{GreyStatistics, KnownImage};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;

/// A context that writes to `folder/out`.
pub(in crate::stage) fn context<const N: usize>(folder: &Path, inputs: [(&str, Vec<InputFiles>); N]) -> Context {
    std::fs::create_dir_all(folder.join("out")).unwrap();
    Context {
        name: "tested".into(),
        seed: 0,
        inputs: inputs.into_iter().map(|(role, files)| (role.to_owned(), files)).collect(),
        external: BTreeMap::new(),
        out: folder.join("out"),
        scratch: None,
        threads: 1,
        log: None,
        group: Default::default(),
        mark: None,
        checkpoint: folder.join("checkpoint"),
        device: Default::default(),
        opened: None,
        places: Places::default(),
        tensorboard: None,
        asked: Default::default(),
        checkpoint_wait: std::time::Duration::MAX,
        telemetry: BTreeMap::new(),
        on_progress: Box::new(|_| {}),
    }
}

/// Parses the parameters of a stage.
pub(in crate::stage) fn params<S: DeserializeOwned>(json: &str) -> S {
    serde_json::from_str(json).unwrap()
}

/// The outputs of an evaluation on two images of four pixels each with truth 0, 0, 1, 1.
pub(in crate::stage) fn evaluation_files(
    folder: &Path,
    label: &str,
    seed: Option<u64>,
    prediction: &[u8],
) -> InputFiles {
    let mut confusion = Confusion::new(2);
    confusion.add(&[0, 0, 1, 1], prediction, None).unwrap();
    let classes = ["matrix", "austenite"].map(String::from);
    let evaluation = Evaluation::new(&confusion, &classes, &[], &[9, 3], "test", 2, SelectedOn::Val)
        .with_images(&[confusion.clone(), confusion.clone()], 128);
    let folder = folder.join(format!("{label}-{seed:?}"));
    std::fs::create_dir_all(&folder).unwrap();
    evaluation.write(&folder).unwrap();
    let of_images = ["a.png", "b.png"].map(|image| (image.to_owned(), confusion.clone()));
    ImageConfusions(of_images.into()).write(&folder, &classes).unwrap();
    let files = [Evaluation::FILE, ImageConfusions::FILE].map(|name| (name.to_owned(), folder.join(name))).into();
    InputFiles { label: label.into(), seed, files, source: None }
}

/// Two test images `x/a.png` and `x/b.png` and a training image, 8 × 4 pixels. The left half is class 0, the right half
/// class 1, and one pixel is ignored.
pub(in crate::stage) fn dataset(folder: &Path) -> InputFiles {
    let mut images = Vec::new();
    for (name, split) in [("x/a.png", Split::Test), ("x/b.png", Split::Test), ("x/c.png", Split::Train)] {
        let mask_name = name.replace('x', "y");
        let mut labels: Vec<u8> = (0..32).map(|i| u8::from(i % 8 >= 4)).collect();
        labels[0] = 255;
        let mut digests = Vec::new();
        for (name, pixels) in [(name, &[90u8; 32][..]), (mask_name.as_str(), &labels)] {
            let bytes = report::png_grey(pixels, 8, 4).unwrap();
            std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.join(name), &bytes).unwrap();
            digests.push(blake3::hash(&bytes).to_hex().to_string());
        }
        images.push(Entry {
            image: name.into(),
            image_digest: digests[0].clone(),
            mask: Some(mask_name),
            mask_digest: Some(digests[1].clone()),
            width: 8,
            height: 4,
            resized_from: None,
            resampled_by: None,
            file_size: None,
            window_of: None,
            offset: None,
            pixel_size: None,
            pixel_size_from: None,
            specimen: None,
            channels: 1,
            orientation: None,
            split,
            class_pixels: vec![15, 16],
        });
    }
    let manifest = Manifest {
        annotations: None,
        format: "folder".into(),
        classes: vec!["matrix".into(), "austenite".into()],
        ignore_classes: vec![],
        label_values: [(0, 0), (1, 1), (255, IGNORE)].into(),
        label_colors: BTreeMap::new(),
        other_color: None,
        is_part: false,
        options: Default::default(),
        images,
    };
    let path = folder.join("manifest.json");
    manifest.write(folder).unwrap();
    let files = [("manifest.json".to_owned(), path)].into();
    InputFiles { label: "steel".into(), seed: None, files, source: Some(folder.to_owned()) }
}

/// The outputs of an evaluation whose predictions are `class` everywhere.
pub(in crate::stage) fn evaluated(
    folder: &Path,
    dataset: &InputFiles,
    label: &str,
    seed: Option<u64>,
    class: u8,
) -> InputFiles {
    let folder = folder.join(format!("evaluated-{seed:?}"));
    let mut context = context(&folder, []);
    let about = About { selected_on: SelectedOn::Last, ..About::default() };
    plain().evaluate(&mut context, &open_dataset(dataset).unwrap(), &about, constant(class)).unwrap();
    let names = [
        "metrics.json",
        "per_image.csv",
        "confusion.csv",
        ImageConfusions::FILE,
        "predictions/a.png",
        "predictions/b.png",
    ];
    let files = names.map(|name| (name.to_owned(), context.out.join(name))).into();
    InputFiles { label: label.into(), seed, files, source: None }
}

/// Everywhere `class`, with a probability of 0.9.
fn constant(class: u8) -> impl FnMut(&Entry, &Micrograph) -> Result<Prediction, StageError> {
    move |_, image| {
        let (width, height) = (image.width, image.height);
        let labels = vec![class; width * height];
        let mut pixel = [0.1, 0.1];
        pixel[usize::from(class)] = 0.9;
        Ok(Prediction { mask: Mask { width, height, labels }, probabilities: pixel.repeat(width * height) })
    }
}

#[test]
fn writes_scores_matrices_and_masks() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let output = evaluated(folder.path(), &dataset, "x", None, 1);
    let read = |name: &str| std::fs::read_to_string(output.file(name).unwrap()).unwrap();
    assert_eq!(read("confusion.csv"), "truth,matrix,austenite\nmatrix,0,30\naustenite,0,32\n");
    let per_image = read("per_image.csv");
    let row = "0.25806451612903225,0.3404255319148936,0.5161290322580645,0,0.5161290322580645";
    let header = "image,miou,mean_dice,pixel_accuracy,iou_matrix,iou_austenite";
    assert_eq!(per_image, format!("{header}\nx/a.png,{row}\nx/b.png,{row}\n"));
    let own = |image: &str| format!("{image},matrix,0,15\n{image},austenite,0,16\n");
    let per_image = read(ImageConfusions::FILE);
    assert_eq!(per_image, format!("image,truth,matrix,austenite\n{}{}", own("x/a.png"), own("x/b.png")));
    let matrices = ImageConfusions::read(output.file(ImageConfusions::FILE).unwrap()).unwrap().0;
    assert_eq!(matrices.iter().map(|(image, _)| image.as_str()).collect::<Vec<_>>(), ["x/a.png", "x/b.png"]);
    assert_eq!(matrices[1].1, Confusion::from_counts(2, vec![0, 15, 0, 16]).unwrap());
    let evaluation: Evaluation = serde_json::from_str(&read("metrics.json")).unwrap();
    assert_eq!(evaluation.miou_by(Averaging::Pooled).0, evaluation.miou);
    assert_eq!(evaluation.miou_by(Averaging::Batches).1, evaluation.miou, "the prediction is the majority class");
    assert_eq!((evaluation.images, evaluation.selected_on), (2, SelectedOn::Last));
    assert_eq!(evaluation.pixel_accuracy, Some(32.0 / 62.0));
    let majority = evaluation.majority.unwrap();
    assert_eq!((majority.class.as_str(), majority.miou), ("austenite", evaluation.miou));
    let mask = image::open(output.file("predictions/b.png").unwrap()).unwrap();
    assert_eq!(mask.color(), image::ColorType::L8);
    assert!(mask.to_luma8().pixels().all(|pixel| pixel.0 == [1]));
}

fn known(image: &str) -> KnownImage {
    let grey = GreyStatistics { mean: 90.0, contrast: 0.0, dark: 90.0, bright: 90.0, noise: 0.0 };
    KnownImage { image: image.into(), statistics: vec![grey], embeddings: vec![1.0] }
}

/// The reference of a model with a temperature of 2, whose validation image `image` has 8 pixels of each class, of which 4 of the
/// matrix are predicted as austenite.
pub(super) fn reference(image: &str) -> Reference {
    let confusion = Confusion::from_counts(2, vec![4, 4, 0, 8]).unwrap();
    let classes = ["matrix", "austenite"].map(String::from).to_vec();
    let calibration = Calibration {
        temperature: 2.0,
        pixels: 16,
        log_loss: [1.0, 0.5],
        expected_error: [0.2, 0.1],
        before: Reliability::default(),
        after: Reliability::default(),
    };
    Reference::new(classes, &[], vec![known("x/c.png")], vec![(known(image), confusion)], Some(calibration), (32, 1))
}

fn plain() -> Evaluate {
    params(r#"{ "model": "<input>", "dataset": "<input>" }"#)
}

/// Scores predictions that are austenite everywhere. Returns `metrics.json` and `fractions.csv`.
fn scored_with(reference: Option<&Reference>) -> (Evaluation, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open_dataset(&dataset(folder.path())).unwrap();
    let mut context = context(folder.path(), []);
    let about = About { reference, ..About::default() };
    plain().evaluate(&mut context, &dataset, &about, constant(1)).unwrap();
    let read = |name: &str| std::fs::read_to_string(context.out.join(name)).unwrap();
    (serde_json::from_str(&read("metrics.json")).unwrap(), read("metrics.json"), read("fractions.csv"))
}

#[test]
fn a_model_with_a_reference_is_scored_for_its_calibration() {
    let reference = reference("x/v.png");
    let (evaluation, ..) = scored_with(Some(&reference));
    let found = evaluation.calibration.clone().unwrap();
    // 62 pixels with a known class, 32 of them austenite; odds of 9 become 3.
    assert_eq!((found.temperature, found.pixels), (2.0, 62));
    let right = 32.0 / 62.0;
    let loss = |p: f64| -(right * p.ln() + (1.0 - right) * (1.0 - p).ln());
    for (at, p) in [0.9, 0.75].into_iter().enumerate() {
        assert!((found.expected_error[at] - (p - right)).abs() < 1e-6, "{found:?}");
        assert!((found.log_loss[at] - loss(p)).abs() < 1e-6, "{found:?}");
    }
    assert_eq!((found.before.pixels[13], found.after.pixels[11]), (62, 62));
    // Nothing else changes, and without a reference the file is as before.
    let (without, text, _) = scored_with(None);
    assert_eq!((evaluation.train_images, without.train_images), (Some(reference.training.len()), None));
    assert_eq!(without, Evaluation { calibration: None, train_images: None, ..evaluation });
    assert!(!text.contains("calibration"));
    // Without a temperature, the probabilities are scored as they are.
    let (as_they_are, ..) = scored_with(Some(&Reference { calibration: None, ..reference }));
    let found = as_they_are.calibration.unwrap();
    assert_eq!((found.temperature, found.expected_error[0]), (1.0, found.expected_error[1]));
}

#[test]
fn fractions_are_of_the_pixels_with_a_known_class() {
    let (.., table) = scored_with(None);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let header = "image,class,true,raw,raw_low,raw_high,corrected,corrected_low,corrected_high";
    assert_eq!(table.lines().next(), Some(header));
    let expected = [("x/a.png", "matrix", 15.0 / 31.0, "0"), ("x/a.png", "austenite", 16.0 / 31.0, "1")];
    assert_eq!(rows.len(), 5);
    for (row, (image, class, truth, raw)) in rows[1..].iter().zip(expected) {
        assert_eq!((row[0], row[1], row[3]), (image, class, raw));
        assert_eq!(row[2].parse::<f64>().unwrap(), truth);
        assert_eq!(row[6..], ["", "", ""], "nothing is known of the model's errors");
    }
}

#[test]
fn fractions_are_corrected_by_the_errors_on_other_images() {
    let corrected = |image: &str| -> Vec<String> {
        let (.., table) = scored_with(Some(&reference(image)));
        table.lines().skip(1).map(|line| line.split(',').nth(6).unwrap().to_owned()).collect()
    };
    // The image's pixels are austenite; the first has no known class.
    let mut counts = BlockCounts::for_image(2, (8, 4));
    counts.add(0, &[1; 32]);
    counts.counts[1] -= 1;
    let expected = fractions(&[&counts], &reference("x/v.png").confusions()).into_iter().map(|class| {
        let value = class.corrected.map(|estimate| estimate.value.to_string());
        value.unwrap_or_default()
    });
    let expected: Vec<String> = expected.collect();
    assert_eq!(corrected("x/v.png"), [expected.clone(), expected].concat());
    // The validation image is the scored one: its own errors say nothing.
    assert_eq!(corrected("x/a.png")[..2], ["", ""]);
}

#[test]
fn a_split_without_images_is_an_error_with_the_counts() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open_dataset(&dataset(folder.path())).unwrap();
    let error = scored(&dataset.manifest, "steel", Split::Val).unwrap_err();
    let expected = "data set steel has no val images, and `evaluate` scores them (1 train, 0 val, 2 test, 0 unlabeled): \
        add `split = { val = 0.2 }` or `val_images = […]` to the table of steel, or set another `split` here";
    assert_eq!(error, expected);
}

#[test]
fn the_model_and_the_data_set_must_have_the_same_classes() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert!(check_classes(&names(&["a", "b"]), &names(&["a", "b"])).is_ok());
    let error = check_classes(&names(&["a", "b"]), &names(&["b", "a"])).unwrap_err();
    assert!(error.starts_with("the model was trained on the classes a, b, but the data set has b, a;"));
}

#[test]
fn a_prediction_of_another_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open_dataset(&dataset(folder.path())).unwrap();
    let mut context = context(folder.path(), []);
    let small = |_: &Entry, _: &Micrograph| {
        Ok(Prediction { mask: Mask { width: 1, height: 1, labels: vec![0] }, probabilities: vec![1.0, 0.0] })
    };
    let error = plain().evaluate(&mut context, &dataset, &About::default(), small).unwrap_err();
    assert_eq!(error.to_string(), "x/a.png: the truth has 32 pixels, the prediction 1");
}

#[test]
fn images_with_the_same_stem_get_unique_names() {
    let entry = |image: &str| Entry {
        image: image.into(),
        image_digest: String::new(),
        mask: None,
        mask_digest: None,
        width: 1,
        height: 1,
        resized_from: None,
        resampled_by: None,
        file_size: None,
        window_of: None,
        offset: None,
        pixel_size: None,
        pixel_size_from: None,
        specimen: None,
        channels: 1,
        orientation: None,
        split: Split::Test,
        class_pixels: vec![],
    };
    let entries = ["a/1.png", "b/1.tif", "b/2.png", "c/N.png", "c/n.tif"].map(entry);
    let names = prediction_files(&entries.iter().collect::<Vec<_>>());
    assert_eq!(names, ["a__1.png.png", "b__1.tif.png", "2.png", "c__N.png.png", "c__n.tif.png"]);
}

#[test]
fn parameters_have_defaults_and_limits() {
    let evaluate: Evaluate = params(r#"{ "model": "<input>", "dataset": "<input>" }"#);
    assert_eq!((evaluate.split, evaluate.overlap), (Part::Test, 0.5));
    assert!(evaluate.check().is_ok());
    assert_eq!(evaluate.miou_batch.get(), 128);
    let json = serde_json::to_value(&evaluate).unwrap();
    assert!(json.get("miou_batch").is_none(), "keys stay as they were: {json}");
    for word in ["ensemble", "tta", "boundary", "surface_tolerance", "specimens"] {
        assert!(json.get(word).is_none(), "keys stay as they were: {json}");
    }
    let together = r#""split": "out-of-fold", "ensemble": true"#;
    for bad in [r#""overlap": 1.0"#, r#""split": "unlabeled""#, r#""surface_tolerance": -1"#, together] {
        let evaluate: Evaluate = params(&format!(r#"{{ "model": "<input>", "dataset": "<input>", {bad} }}"#));
        assert!(evaluate.check().is_err(), "{bad}");
    }
}

#[test]
fn further_scores_are_measured_if_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = open_dataset(&dataset(folder.path())).unwrap();
    for (entry, specimen) in dataset.manifest.images.iter_mut().zip(["A", "B", "C"]) {
        entry.specimen = Some(specimen.into());
        entry.pixel_size = Some([50.0, 50.0]);
    }
    let mut context = context(folder.path(), []);
    let evaluate: Evaluate = params(
        r#"{ "model": "<input>", "dataset": "<input>", "boundary": 1, "surface_tolerance": "0.1 µm", "specimens": true,
             "ensemble": true, "tta": "full" }"#,
    );
    let about = About { models: Some(5), ..About::default() };
    evaluate.evaluate(&mut context, &dataset, &about, constant(1)).unwrap();
    let scores = Evaluation::read(&context.out.join("metrics.json")).unwrap();
    assert_eq!((scores.models, scores.copies), (Some(5), Some(8)));
    let boundary = scores.boundary.as_ref().unwrap();
    // Of the right half 12 pixels are at its border; of the prediction 20, with the one that touches the unknown corner. 10 are both.
    assert_eq!((boundary.iou[0], boundary.iou[1]), (Some(0.0), Some(20.0 / 44.0)));
    let surface = scores.surface.as_ref().unwrap();
    assert_eq!(surface.dice[0], Some(0.0));
    assert!(surface.dice[1].is_some_and(|dice| dice > 0.6 && dice < 1.0), "{surface:?}");
    let specimens = scores.specimens.as_ref().unwrap();
    let names: Vec<&str> = specimens.specimens.iter().map(|specimen| specimen.name.as_str()).collect();
    assert_eq!((names, specimens.miou), (vec!["A", "B"], scores.miou));
    // The probabilities are all 0.9 for austenite.
    let calibration = scores.calibration.as_ref().unwrap();
    assert_eq!((calibration.temperature, calibration.expected_error[0]), (1.0, calibration.expected_error[1]));
}

#[test]
fn scores_that_need_what_is_not_known_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open_dataset(&dataset(folder.path())).unwrap();
    let check = |text: &str| {
        let evaluate: Evaluate = params(&format!(r#"{{ "model": "<input>", "dataset": "<input>", {text} }}"#));
        evaluate.check_known(&dataset.entries(Split::Test), "steel").unwrap_err()
    };
    assert_eq!(
        check(r#""specimens": true"#),
        "`specimens = true` needs the specimen of each image, and that of x/a.png is not known: set `group` in the table of \
         steel, or remove it"
    );
    assert_eq!(
        check(r#""surface_tolerance": "0.5 µm""#),
        "`surface_tolerance = \"0.5 µm\"` needs the size of the pixels of each image, and that of x/a.png is not known: set \
         `pixel_size` in the table of steel, or give the tolerance in pixels, e.g. 2"
    );
}
