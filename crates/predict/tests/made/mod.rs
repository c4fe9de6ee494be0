//! Small models with random weights.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use candle_core::{DType, Device};
use matssl_base::random::Stream;
use matssl_data::{Color, Micrograph, ReadAs};
use matssl_metrics::SelectedOn;
use matssl_predict::model::{ClassDescription, FORMAT_VERSION, ModelDescription, Normalisation, Provenance};
use matssl_tensor::Parameters;
use matssl_train::networks::{SegmentationConfig, SegmentationNetwork};
use matssl_train::train::inference::ModelConfig;
use matssl_train::weights;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A U-Net++ of a ResNet-18 of width 4.
pub const SMALL: &str = r#"{"encoder":{"arch":"resnet18","width":4},"decoder_channels":[8,8,4,4,4],"classes":3}"#;

/// The network that `config` describes, with random weights drawn from `seed`. Statistics of batch norms are not 0 and 1, and
/// weights are large enough that all classes occur.
pub fn network(config: &str, seed: u64) -> (SegmentationNetwork, Parameters) {
    let network = SegmentationNetwork::new(serde_json::from_str(config).unwrap());
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(seed, "made", 0, 0)).unwrap();
    let mut stream = Stream::new(seed, "statistics", 0, 0);
    for (name, parameter) in parameters.iter() {
        let shape = parameter.var.shape().clone();
        let mut drawn = |least: f64, span: f64| -> Vec<f32> {
            (0..shape.elem_count()).map(|_| (least + span * stream.uniform()) as f32).collect()
        };
        let values = if name.ends_with("running_mean") || (name.ends_with("bias") && !name.contains("head")) {
            drawn(-0.2, 0.4)
        } else if name.ends_with("running_var") {
            drawn(1.0, 1.0)
        } else {
            continue;
        };
        parameter.var.set(&candle_core::Tensor::from_vec(values, shape.clone(), &Device::Cpu).unwrap()).unwrap();
    }
    (network, parameters)
}

/// Names of the classes of a network of `count`.
pub fn class_names(count: usize) -> Vec<String> {
    ["ferrite", "austenite", "pore", "carbide"].map(str::to_owned)[..count].to_vec()
}

/// Writes the weights of such a network into `folder`.
pub fn weights_file(folder: &Path, config: &str, seed: u64) -> PathBuf {
    let (network, parameters) = network(config, seed);
    let config = ModelConfig {
        network: network.config().clone(),
        crop_size: 64,
        class_names: class_names(network.config().classes),
        selected_on: SelectedOn::Val,
        fold: None,
    };
    let path = folder.join(format!("weights-{seed}.safetensors"));
    weights::save(&parameters, None, &path, &serde_json::to_string(&config).unwrap()).unwrap();
    path
}

/// What `export` would say of it.
pub fn description(config: &str, name: &str) -> ModelDescription {
    let network: SegmentationConfig = serde_json::from_str(config).unwrap();
    let class = |(index, name): (usize, String)| ClassDescription {
        name,
        value: [0, 128, 255, 64][index],
        color: Color([40 * index as u8, 100, 200]),
        ignored: index == 2,
    };
    ModelDescription {
        format_version: FORMAT_VERSION,
        name: name.to_owned(),
        classes: class_names(network.classes).into_iter().enumerate().map(class).collect(),
        normalisation: Normalisation::of(network.encoder.in_channels()),
        network,
        read_as: ReadAs::default(),
        tile: 64,
        overlap: 0.5,
        pixel_size_nm: Some(50.0),
        pixel_sizes_nm: Some([50.0, 50.0]),
        calibration: None,
        validation: Vec::new(),
        scores: Vec::new(),
        provenance: Provenance { stage: name.to_owned(), seed: Some(0), ..Provenance::default() },
        files: BTreeMap::new(),
    }
}

/// Noise of low frequency, so that neighbouring pixels are alike.
pub fn image(width: usize, height: usize, channels: usize) -> Micrograph {
    let mut stream = Stream::new(7, "image", 0, 0);
    let waves: Vec<[f64; 4]> = (0..6 * channels).map(|_| std::array::from_fn(|_| stream.uniform())).collect();
    let mut pixels = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y as f64, x as f64))) {
        for channel in 0..channels {
            let of_channel = waves[6 * channel..6 * (channel + 1)].iter();
            let sum: f64 = of_channel.map(|[a, b, c, d]| d * (x * a * 0.9 + y * b * 0.9 + 6.3 * c).sin()).sum();
            pixels.push((127.0 + 40.0 * sum).clamp(0.0, 255.0) as u8);
        }
    }
    Micrograph { width, height, channels, pixels }
}
