//! Our files under ONNX Runtime: the official checker accepts them, and their logits are ours.
//!
//! It needs a Python with `onnx`, `onnxruntime` and `numpy`: `MATSSL_PYTHON`, or `python3`. Without one it says so and is skipped;
//! with `CI` set it fails.

use candle_core::{DType, Device, Result, Tensor};
use matssl_base::random::Stream;
use matssl_onnx::OnnxModel;
use matssl_tensor::{Mode, Parameters, Tape, trace};
use matssl_train::networks::SegmentationNetwork;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const CLASSES: usize = 4;
/// Batch, height, width.
const RUNS: [[usize; 3]; 4] = [[1, 64, 96], [3, 64, 96], [1, 256, 256], [3, 256, 256]];

/// A Python that has what check.py imports.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("MATSSL_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let output = Command::new(&python).args(["-c", "import numpy, onnx, onnxruntime"]).output();
    match output {
        Ok(output) if output.status.success() => Some(python),
        _ if std::env::var_os("CI").is_some() => {
            panic!("{} has no onnx, onnxruntime and numpy: set MATSSL_PYTHON", python.display())
        }
        _ => {
            eprintln!("skipped: {} has no onnx, onnxruntime and numpy", python.display());
            None
        }
    }
}

/// A network with random weights and random statistics.
fn network(text: &str) -> Result<(SegmentationNetwork, Parameters)> {
    let network = SegmentationNetwork::new(serde_json::from_str(text).unwrap());
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(1, text, 0, 0))?;
    for (at, (name, parameter)) in parameters.iter().enumerate() {
        let mut stream = Stream::new(2, text, 0, at as u64);
        let values: Vec<f32> = match name.rsplit('.').next() {
            Some("running_mean" | "bias") => {
                (0..parameter.var.elem_count()).map(|_| 0.3 * stream.normal() as f32).collect()
            }
            Some("running_var") => (0..parameter.var.elem_count()).map(|_| stream.range(0.7, 2.0) as f32).collect(),
            _ => continue,
        };
        parameter.var.set(&Tensor::from_vec(values, parameter.var.dims(), &Device::Cpu)?)?;
    }
    Ok((network, parameters))
}

fn write(path: &Path, tensor: &Tensor) -> Result<()> {
    // [batch, channels, height, width].
    let values: Vec<f32> = tensor.permute((0, 3, 1, 2))?.flatten_all()?.to_vec1()?;
    Ok(std::fs::write(path, values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>())?)
}

/// Writes the network that `text` names, and images with the logits that we find for them; returns what check.py reads.
fn write_case(folder: &Path, name: &str, text: &str) -> Result<Value> {
    let (network, parameters) = network(text)?;
    let channels = network.config().encoder.in_channels();
    let graph = trace(&parameters, [1, 32, 32, channels], |tape, x| network.forward(tape, x))?;
    let scale: Vec<f32> = (0..channels).map(|channel| 1.0 / (50.0 + 5.0 * channel as f32)).collect();
    let shift: Vec<f32> = (0..channels).map(|channel| -2.0 - 0.1 * channel as f32).collect();
    let model = OnnxModel {
        name,
        description: text,
        graph: &graph,
        parameters: &parameters,
        scale: &scale,
        shift: &shift,
        metadata: &[("tile".into(), "256".into())],
    };
    std::fs::write(folder.join(format!("{name}.onnx")), model.encode().unwrap())?;
    let mut runs = Vec::new();
    for [batch, height, width] in RUNS {
        let mut stream = Stream::new(3, text, 0, (batch * height) as u64);
        let pixels: Vec<f32> = (0..batch * height * width * channels).map(|_| stream.below(256) as f32).collect();
        let image = Tensor::from_vec(pixels, (batch, height, width, channels), &Device::Cpu)?;
        let vector = |values: &[f32]| Tensor::from_slice(values, channels, &Device::Cpu);
        let input = image.broadcast_mul(&vector(&scale)?)?.broadcast_add(&vector(&shift)?)?;
        let tape = Tape::new(&parameters, Mode::Eval);
        let logits = network.forward(&tape, &tape.input(&input)?)?;
        let file = |what: &str| format!("{name}.{batch}.{height}.{what}");
        write(&folder.join(file("image")), &image)?;
        write(&folder.join(file("logits")), logits.tensor())?;
        runs.push(json!({
            "image": file("image"), "logits": file("logits"), "batch": batch, "height": height, "width": width,
            "channels": channels, "classes": CLASSES,
        }));
    }
    Ok(json!({ "model": format!("{name}.onnx"), "runs": runs }))
}

#[test]
fn onnxruntime_has_our_logits() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for architecture in ["unet", "unet++"] {
        for (arch, variant) in [("resnet18", "v1.5"), ("resnet18", "v1"), ("resnet50", "v1.5"), ("resnet50", "v1")] {
            for channels in [1, 3] {
                let name = format!("{architecture}-{arch}-{variant}-{channels}");
                let text = format!(
                    r#"{{"architecture":"{architecture}","encoder":{{"arch":"{arch}","width":8,"variant":"{variant}","in_channels":{channels}}},"decoder_channels":[32,16,8,8,4],"classes":{CLASSES}}}"#
                );
                cases.push(write_case(folder.path(), &name, &text).unwrap());
            }
        }
    }
    std::fs::write(folder.path().join("cases.json"), Value::from(cases).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let found: Value = serde_json::from_slice(&std::fs::read(folder.path().join("found.json")).unwrap()).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 16);
    for case in found {
        assert_eq!(case["opset"], 17);
        let channels = if case["model"].as_str().unwrap().contains("-1.onnx") { 1 } else { 3 };
        assert_eq!(case["input"], json!(["image", "batch", channels, "height", "width"]));
        assert_eq!(case["output"], json!(["logits", "batch", CLASSES, "height", "width"]));
        let runs = case["runs"].as_array().unwrap();
        assert_eq!(runs.len(), RUNS.len());
        for run in runs {
            println!("{} {run}", case["model"]);
            // A network that says the same everywhere would hide differences.
            assert!(run["spread"].as_f64().unwrap() > 0.005, "{case}");
            assert!(run["difference"].as_f64().unwrap() <= 1e-4, "{case}");
            assert_eq!(run["other_labels"], 0, "{case}");
        }
    }
}
