//! Cross-validation, and what is made of its models.

use super::*;
use crate::data::Micrograph;
use crate::metrics::{Evaluation, Fold};
use crate::stage::{Foresight, Known, KnownInput};
use std::collections::BTreeSet;

/// Three training images and one for the test.
const THREE: [Split; 4] = [Split::Train, Split::Train, Split::Train, Split::Test];

fn text(folds: usize, fold: usize) -> String {
    let text = TOY.replace("epochs = 6", "epochs = 1");
    format!("{text}folds = {folds}\nfold = {fold}\n")
}

fn evaluate(text: &str, folder: &Path, files: &[(&str, PathBuf)], models: &[PathBuf]) -> (Evaluation, Vec<u8>) {
    let mut scores = context(folder, "dataset", files);
    let input = |path: &PathBuf| InputFiles {
        label: path.display().to_string(),
        seed: None,
        files: ["model.safetensors", ReferenceFile::FILE].map(|name| (name.to_owned(), path.join(name))).into(),
        source: None,
    };
    scores.inputs.insert("model".into(), models.iter().map(input).collect());
    let text = format!("model = '<input>'\ndataset = '<input>'\n{text}");
    parse::<Evaluate>(&text).unwrap().run(&mut scores).unwrap();
    let read = |name: &str| std::fs::read(scores.out.join(name)).unwrap();
    let mask = image::load_from_memory(&read("predictions/3.png")).unwrap().into_luma8().into_raw();
    (serde_json::from_slice(&read(Evaluation::FILE)).unwrap(), mask)
}

#[test]
fn each_image_validates_one_fold_and_the_models_predict_together() {
    let folder = tempfile::tempdir().unwrap();
    let files = dataset(folder.path(), &THREE);
    let (mut validated, mut models) = (BTreeSet::new(), Vec::new());
    for fold in 1..=3 {
        let mut trained = context(&folder.path().join(format!("fold{fold}")), "dataset", &files);
        parse::<Finetune>(&text(3, fold)).unwrap().run(&mut trained).unwrap();
        let reference = Reference::read(&trained.out.join(ReferenceFile::FILE)).unwrap();
        let own: Vec<String> = reference.validation.iter().map(|image| image.image.clone()).collect();
        let training: Vec<String> = reference.training.iter().map(|image| image.image.clone()).collect();
        assert_eq!((own.len(), training.len()), (1, 2));
        assert!(!training.contains(&own[0]) && !own.contains(&"3.png".to_owned()));
        validated.extend(own);
        models.push(trained.out.clone());
    }
    assert_eq!(validated.len(), 3, "{validated:?}");

    let (alone, _) = evaluate("", &folder.path().join("alone"), &files, &models[1..2]);
    assert_eq!((alone.fold, alone.models), (Some(Fold { index: 2, of: 3 }), None));
    let (together, mask) = evaluate("ensemble = true", &folder.path().join("together"), &files, &models);
    assert_eq!((together.fold, together.models, together.copies), (None, Some(3), None));
    // No temperature is applied to the mean of several models.
    let calibration = together.calibration.unwrap();
    assert_eq!((calibration.temperature, calibration.log_loss[0]), (1.0, calibration.log_loss[1]));
    let pixels = image::open(folder.path().join("3.png")).unwrap().into_luma8().into_raw();
    let image = Micrograph { width: 48, height: 40, channels: 1, pixels };
    let mut mean = vec![0.0f32; 48 * 40 * 2];
    for model in &models {
        let model = Segmenter::load(&model.join("model.safetensors"), &candle_core::Device::Cpu).unwrap();
        let own = model.probabilities(&image, 32, 0.5).unwrap().probabilities;
        mean.iter_mut().zip(own).for_each(|(mean, own)| *mean += own / 3.0);
    }
    let sure = mean.chunks(2).zip(&mask).filter(|(p, _)| (p[0] - p[1]).abs() > 1e-4);
    let mut count = 0;
    for (probabilities, &label) in sure {
        assert_eq!(label, u8::from(probabilities[1] > probabilities[0]));
        count += 1;
    }
    assert!(count > 1800, "{count} pixels compared");

    let (copied, _) = evaluate("tta = 'full'", &folder.path().join("copied"), &files, &models[..1]);
    let (plain, _) = evaluate("", &folder.path().join("plain"), &files, &models[..1]);
    assert_eq!((copied.copies, plain.copies, copied.models), (Some(8), None, None));
    assert_ne!(copied.calibration.unwrap().log_loss, plain.calibration.unwrap().log_loss);
}

#[test]
fn folds_are_refused_where_images_are_too_few_or_set_aside() {
    let foreseen = |splits: &[Split], specimens: bool| -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        dataset(folder.path(), splits);
        let mut manifest = Manifest::read(&folder.path().join("manifest.json")).unwrap();
        if specimens {
            manifest.images.iter_mut().for_each(|entry| entry.specimen = Some("A".into()));
        }
        let input = KnownInput {
            role: "dataset",
            label: "steel",
            seed: None,
            leaves: &[],
            prospect: Some(crate::stage::outlook::images(&manifest)),
        };
        let places = Default::default();
        let known = Known { output: None, inputs: vec![input], seed: 0, places: &places };
        let Foresight { problems, .. } = parse::<Finetune>(&text(3, 1)).unwrap().foresee(&known);
        problems
    };
    assert_eq!(foreseen(&THREE, false), [""; 0]);
    assert_eq!(
        foreseen(&THREE[1..], false),
        [
            "`folds = 3` needs at least as many training images with masks, but data set steel has 2: set fewer `folds`, or add \
          images"
        ]
    );
    assert_eq!(
        foreseen(&THREE, true),
        ["`folds = 3` needs at least as many specimens, but data set steel has 1: set fewer `folds`, or add images"]
    );
    let [aside] = &foreseen(&ALL, false)[..] else { panic!("one problem") };
    assert!(aside.starts_with("data set steel has validation images of its own"), "{aside}");
}

/// A class that counts and that training, but no validation image has.
#[test]
fn a_class_that_no_validation_image_has_is_a_warning() {
    let warnings = |text: &str| -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        dataset(folder.path(), &ALL);
        let mut manifest = Manifest::read(&folder.path().join("manifest.json")).unwrap();
        for entry in &mut manifest.images {
            entry.class_pixels = if entry.split == Split::Val { vec![1, 0] } else { vec![1, 1] };
        }
        let stage = parse::<Finetune>(&TOY.replace("epochs = 6", text)).unwrap();
        let parts = stage.parts(&manifest, "steel", 0).unwrap();
        let all = stage.warnings(&parts, &manifest, "steel");
        all.into_iter().filter(|text| text.contains("the epoch is chosen")).collect()
    };
    let class = "the epoch is chosen without it; move an image with it there, or choose another `seed` of the `split`";
    let [one] = &warnings("epochs = 6")[..] else { panic!("one warning") };
    assert!(one.starts_with("no validation image of data set steel has the class ") && one.ends_with(class), "{one}");
    assert_eq!(warnings("epochs = 6\nselect_on = 'last'"), [""; 0]);
}
