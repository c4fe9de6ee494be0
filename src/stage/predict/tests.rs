use super::super::InputFiles;
use super::super::evaluate::tests::{context, dataset, params};
use super::*;
use crate::data::decode;
use crate::metrics::SelectedOn;
use crate::nn::{Parameters, SegmentationConfig, SegmentationNetwork};
use crate::random::Stream;
use crate::train::inference::ModelConfig;
use candle_core::{DType, Device};
use std::path::Path;

/// A model of the classes `matrix` and `austenite` with random weights.
fn model(folder: &Path, label: &str, seed: u64) -> InputFiles {
    let text = r#"{"encoder":{"arch":"resnet18","width":4},"decoder_channels":[8,8,4,4,4],"classes":2}"#;
    let network: SegmentationConfig = serde_json::from_str(text).unwrap();
    let class_names = ["matrix", "austenite"].map(str::to_owned).into();
    let config =
        ModelConfig { network: network.clone(), crop_size: 32, class_names, selected_on: SelectedOn::Val, fold: None };
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    SegmentationNetwork::new(network).init(&mut parameters, &Stream::new(seed, "predict stage", 0, 0)).unwrap();
    let folder = folder.join(label);
    std::fs::create_dir_all(&folder).unwrap();
    ModelFile::write(&parameters, &config, &folder).unwrap();
    let files = [(ModelFile::FILE.to_owned(), folder.join(ModelFile::FILE))].into();
    InputFiles { label: label.into(), seed: Some(0), files, source: None }
}

fn run(stage: &str, models: &[u64]) -> Result<(tempfile::TempDir, Vec<InputFiles>), StageError> {
    let folder = tempfile::tempdir().unwrap();
    let models: Vec<InputFiles> = models.iter().map(|&seed| model(folder.path(), &format!("m{seed}"), seed)).collect();
    let inputs = [("model", models.clone()), ("dataset", vec![dataset(folder.path())])];
    params::<Predict>(stage).run(&mut context(folder.path(), inputs))?;
    Ok((folder, models))
}

const STAGE: &str = r#"{ "model": "<input>", "dataset": "<input>", "split": "test" }"#;

#[test]
fn masks_are_those_that_evaluate_scores_and_fractions_are_theirs() {
    let (folder, models) = run(STAGE, &[1]).unwrap();
    let out = folder.path().join("out");
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&out).unwrap() {
        names.push(entry.unwrap().file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["fractions.csv", "masks", "summary.csv"], "nothing else is left");
    let dataset = open_dataset(&dataset(folder.path())).unwrap();
    let segmenter = ModelFile::load(&models[0], &Device::Cpu).unwrap();
    let mut reader = csv::Reader::from_path(out.join("fractions.csv")).unwrap();
    let rows: Vec<std::collections::BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4, "two test images, two classes");
    for entry in dataset.entries(Split::Test) {
        let expected = segmenter.predict(&dataset.read_image(entry).unwrap(), 32, 0.5).unwrap();
        let path = out.join("masks/x").join(format!("{}.png", entry.stem()));
        let found = decode::decode_mask(&path, &std::fs::read(&path).unwrap(), None).unwrap();
        assert_eq!(found, expected);
        let austenite = expected.labels.iter().filter(|&&label| label == 1).count();
        let row = rows.iter().find(|row| row["image"] == entry.image && row["class"] == "austenite").unwrap();
        assert_eq!(
            (&*row["pixels"], &*row["fraction"]),
            (&*austenite.to_string(), &*format!("{:.6}", austenite as f64 / 32.0))
        );
    }
}

#[test]
fn without_a_split_all_images_are_predicted_and_bad_parameters_are_refused() {
    let (folder, _) = run(r#"{ "model": "<input>", "dataset": "<input>", "objects": ["austenite"] }"#, &[1]).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("out/masks/x")).unwrap().count(), 3);
    assert!(folder.path().join("out/objects/x/a.csv").is_file());
    let message = |stage: &str| run(stage, &[1]).unwrap_err().to_string();
    let none = r#"{ "model": "<input>", "dataset": "<input>", "split": "val" }"#;
    assert_eq!(message(none), "data set steel has no val images to predict: set another `split`");
    let objects = r#"{ "model": "<input>", "dataset": "<input>", "objects": ["iron"] }"#;
    assert_eq!(message(objects), "`objects` names iron, but the model has the classes matrix, austenite");
    let refused = |stage: &str| params::<Predict>(stage).check().is_err();
    assert!(refused(r#"{ "model": "<input>", "dataset": "<input>", "tile": 100 }"#));
    assert!(refused(r#"{ "model": "<input>", "dataset": "<input>", "overlap": 1.0 }"#));
    assert!(!refused(r#"{ "model": "<input>", "dataset": "<input>", "tile": 64, "tta": "flips" }"#));
    let text = r#"{"model":"<input>","dataset":"<input>","overlap":0.5}"#;
    assert_eq!(serde_json::to_string(&params::<Predict>(text)).unwrap(), text, "keys hold what is not the default");
}
