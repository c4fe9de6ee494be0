//! A model folder with random weights, and images.

use candle_core::{DType, Device};
use image::GrayImage;
use matssl_data::{Color, ReadAs};
use matssl_metrics::SelectedOn;
use matssl_predict::model::{
    ClassDescription, FORMAT_VERSION, ModelDescription, ModelFolder, Normalisation, Provenance,
};
use matssl_run::nn::{Parameters, SegmentationConfig, SegmentationNetwork, weights};
use matssl_run::random::Stream;
use matssl_run::train::inference::ModelConfig;
use std::fs;
use std::path::Path;

/// Writes a model of two classes, `matrix` (value 7) and `carbide` (200), with weights by `seed`.
pub fn write_model(folder: &Path, seed: u64) {
    write_model_of(folder, seed, None);
}

/// As [`write_model`], of images whose pixels are `pixel_size_nm` wide.
pub fn write_model_of(folder: &Path, seed: u64, pixel_size_nm: Option<f64>) {
    let network: SegmentationConfig =
        serde_json::from_str(r#"{"encoder":{"arch":"resnet18","width":4},"decoder_channels":[8,8,4,4,4],"classes":2}"#)
            .unwrap();
    let names = ["matrix", "carbide"];
    let config = ModelConfig {
        network: network.clone(),
        crop_size: 32,
        class_names: names.map(str::to_owned).into(),
        selected_on: SelectedOn::Val,
        fold: None,
    };
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    SegmentationNetwork::new(network.clone()).init(&mut parameters, &Stream::new(seed, "predict test", 0, 0)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let weights_file = elsewhere.path().join(ModelFolder::WEIGHTS);
    weights::save(&parameters, None, &weights_file, &serde_json::to_string(&config).unwrap()).unwrap();
    let class = |name: &str, value, color| ClassDescription { name: name.into(), value, color, ignored: false };
    let description = ModelDescription {
        format_version: FORMAT_VERSION,
        name: "segment@0".into(),
        network,
        classes: vec![class(names[0], 7, Color([10, 20, 30])), class(names[1], 200, Color([200, 100, 0]))],
        normalisation: Normalisation { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] },
        read_as: ReadAs::default(),
        tile: 32,
        overlap: 0.5,
        pixel_size_nm,
        pixel_sizes_nm: None,
        calibration: None,
        validation: Vec::new(),
        scores: Vec::new(),
        provenance: Provenance::default(),
        files: [].into(),
    };
    ModelFolder::write(folder, &description, &weights_file, None).unwrap();
}

/// Writes blobs in grey, by `seed`.
pub fn image(path: &Path, seed: u64, (width, height): (u32, u32)) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut stream = Stream::new(seed, "image", 0, 0);
    let mut draw = || f64::from(stream.next_u32()) / f64::from(u32::MAX);
    let (a, b, c) = (0.05 + 0.2 * draw(), 0.05 + 0.2 * draw(), 6.0 * draw());
    let wave = |x: u32, y: u32| ((f64::from(x) * a).sin() + (f64::from(y) * b + c).cos()) * 60.0 + 128.0;
    GrayImage::from_fn(width, height, |x, y| image::Luma([wave(x, y) as u8])).save(path).unwrap();
}
