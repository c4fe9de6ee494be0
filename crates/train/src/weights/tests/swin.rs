//! Files of Swin transformers by every naming: found, said, interpolated where windows differ, and refused where anything else does.

use super::super::{LoadReport, Request, check_bytes, load_chosen};
use super::Outcome;
use crate::networks::{Encoder, EncoderConfig, SegmentationNetwork};
use candle_core::{DType, Device};
use flate2::read::GzDecoder;
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;

macro_rules! forms {
    ($($name:literal),* $(,)?) => { [$(($name, include_bytes!(concat!("../testdata/forms/", $name, ".gz")).as_slice())),*] };
}

/// Made by testdata/forms/generate_swin.py.
const FORMS: [(&str, &[u8]); 6] = forms![
    "swin-microsoft.pth",
    "swin-microsoft-training.pth",
    "swin-torchvision.pth",
    "swin-timm.safetensors",
    "swin-window-4.pth",
    "swin-residual.pth",
];

fn form(name: &str) -> Vec<u8> {
    let (_, compressed) = FORMS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
    let mut bytes = Vec::new();
    GzDecoder::new(*compressed).read_to_end(&mut bytes).unwrap();
    bytes
}

fn swin(more: &str) -> EncoderConfig {
    let text = format!(r#"{{"arch":"swin-tiny","width":4,"depths":[1,2,1,1],"heads":1{more}}}"#);
    serde_json::from_str(&text).unwrap()
}

/// As `values` in testdata/forms/generate_swin.py.
fn value(name: &str, count: usize) -> Vec<f64> {
    let start = format!("/{name}")
        .bytes()
        .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..count).map(|i| ((i * 7 + (start % 251) as usize) % 251) as f64 / 64.0 - 125.0 / 64.0).collect()
}

/// Loads a form into the network `config` below `prefix`.
fn loaded(
    name: &str,
    config: &EncoderConfig,
    prefix: &str,
) -> Result<(LoadReport, Parameters), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (path, bytes): (PathBuf, _) = (folder.path().join(name), form(name));
    std::fs::write(&path, &bytes)?;
    let encoder = Encoder::new(config.clone());
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    encoder.init(&mut parameters, prefix, &Stream::new(0, "init", 0, 0))?;
    let report = load_chosen(&parameters, prefix, &path, &Request::default())?;
    assert_eq!(check_bytes(&bytes, &encoder.shapes(), &Request::default())?, report, "{name}");
    Ok((report, parameters))
}

fn numbers(parameters: &Parameters, name: &str) -> Vec<f64> {
    let parameter = parameters.get(name).unwrap();
    let tensor = super::super::layout::to_pytorch(parameter).unwrap();
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

const TABLE: &str = "relative_position_bias_table";

#[test]
fn all_names_of_swin_transformers_are_read() -> Outcome {
    for (name, found, passed_over) in [
        ("swin-microsoft.pth", "key `model`", &["head.bias", "head.weight"][..]),
        ("swin-microsoft-training.pth", "key `model`", &["head.bias", "head.weight"]),
        ("swin-torchvision.pth", "torchvision's names (features)", &["head.bias", "head.weight"]),
        (
            "swin-timm.safetensors",
            "timm's names (patches are merged at the start of a stage)",
            &["head.fc.bias", "head.fc.weight"],
        ),
    ] {
        let config = swin(r#","window":2"#);
        let (report, parameters) = loaded(name, &config, "encoder").map_err(|error| format!("{name}: {error}"))?;
        assert_eq!(report.found().as_deref(), Some(found), "{name}");
        // Indices and masks are computed, and are neither read nor listed.
        let mut others = report.passed_over.clone();
        others.sort();
        assert_eq!(others, passed_over, "{name}");
        assert!(report.missing.is_empty() && report.resized.is_empty(), "{name}: {report:?}");
        let mut tables = 0;
        for (full, _) in parameters.iter() {
            let (own, values) = (full.strip_prefix("encoder.").unwrap(), numbers(&parameters, full));
            if own.ends_with(TABLE) {
                let heads = values.len() / 9;
                let expected = |i: usize| ((i / heads) / 3 + 2 * ((i / heads) % 3) + i % heads) as f64;
                assert_eq!(values, (0..values.len()).map(expected).collect::<Vec<_>>(), "{name}: {own}");
                tables += 1;
            } else {
                assert_eq!(values, value(own, values.len()), "{name}: {own}");
            }
        }
        assert_eq!(tables, 5, "{name}");
    }
    Ok(())
}

#[test]
fn tables_of_other_windows_are_interpolated_and_said() -> Outcome {
    for (name, window, rows) in
        [("swin-microsoft.pth", 4, 49), ("swin-window-4.pth", 2, 9), ("swin-torchvision.pth", 3, 25)]
    {
        let (report, parameters) = loaded(name, &swin(&format!(r#","window":{window}"#)), "encoder")?;
        let theirs = if name == "swin-window-4.pth" { 4 } else { 2 };
        let text = format!("5 tables of position biases interpolated from windows of {theirs} to windows of {window}");
        assert!(report.found().unwrap().ends_with(&text), "{:?}", report.found());
        assert_eq!(report.resized.len(), 5);
        assert_eq!(report.resized[0].1, (theirs, window));
        let table = numbers(&parameters, &format!("encoder.layers.1.blocks.1.attn.{TABLE}"));
        assert_eq!(table.len(), 2 * rows);
        // The middle stays: there the plane y + 2x + head is 3 (theirs - 1) + head.
        let (middle, expected) = (rows / 2, 3.0 * (theirs - 1) as f64);
        assert!((table[2 * middle] - expected).abs() < 1e-5 && (table[2 * middle + 1] - expected - 1.0).abs() < 1e-5);
        // No other tensor changes.
        let norm = numbers(&parameters, "encoder.layers.2.downsample.norm.weight");
        assert_eq!(norm, value("layers.2.downsample.norm.weight", norm.len()));
    }
    Ok(())
}

#[test]
fn what_differs_otherwise_is_refused() {
    for (name, more, expected) in [
        ("swin-microsoft.pth", r#","window":2,"mlp":"residual""#, "missing: layers.0.blocks.0.mlp.fc3.weight"),
        ("swin-residual.pth", r#","window":2"#, "not in the network: layers.0.blocks.0.mlp.fc3.bias"),
        ("swin-timm.safetensors", r#","window":2,"mlp":"residual""#, "missing: layers.0.blocks.0.mlp.fc3.weight"),
    ] {
        let error =
            check_bytes(&form(name), &Encoder::new(swin(more)).shapes(), &Request::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let deeper = r#"{"arch":"swin-tiny","width":4,"depths":[1,2,3,1],"heads":1,"window":2}"#;
    let shallower = deeper.replace("[1,2,3,1]", "[1,1,1,1]");
    let wider = deeper.replace("\"width\":4", "\"width\":8").replace("[1,2,3,1]", "[1,2,1,1]");
    for (config, expected) in [
        (deeper, "missing: layers.2.blocks.1.norm1.weight"),
        (&shallower, "not in the network: layers.1.blocks.1."),
        (&wider, "wrong shape: layers.0.blocks.0.attn.proj.bias: [4] instead of [8]"),
    ] {
        let shapes = Encoder::new(serde_json::from_str::<EncoderConfig>(config).unwrap()).shapes();
        for name in ["swin-microsoft.pth", "swin-torchvision.pth", "swin-timm.safetensors"] {
            let error = check_bytes(&form(name), &shapes, &Request::default()).unwrap_err().to_string();
            let kind = expected.split(':').next().unwrap();
            assert!(error.contains(kind), "{name}: {error}");
            assert!(name != "swin-microsoft.pth" || error.contains(expected), "{error}");
        }
    }
    // A ResNet is asked of a Swin transformer's file, and the other way round.
    let resnet = super::forms::resnet().shapes();
    let error = check_bytes(&form("swin-microsoft.pth"), &resnet, &Request::default()).unwrap_err().to_string();
    assert!(error.contains("these look like a Swin transformer; the network is a resnet18"), "{error}");
    let shapes = Encoder::new(swin(r#","window":2"#)).shapes();
    let error =
        check_bytes(&super::forms::form("torchvision.pth"), &shapes, &Request::default()).unwrap_err().to_string();
    assert!(error.contains("these look like a resnet18"), "{error}");
}

/// Beside a decoder, whose names have no prefix either, the encoder alone is loaded.
#[test]
fn an_encoder_without_a_prefix_is_loaded_alone() -> Outcome {
    let config = swin(r#","window":2"#);
    let text = format!(r#"{{"architecture":"swin-unet","encoder":{},"classes":2}}"#, serde_json::to_string(&config)?);
    let network = SegmentationNetwork::new(serde_json::from_str(&text)?);
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(0, "init", 0, 0))?;
    let only: BTreeSet<String> = Encoder::new(config).shapes().into_iter().map(|(name, _)| name).collect();
    let before = numbers(&parameters, "concat_back_dim.1.weight");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("swin.pth");
    std::fs::write(&path, form("swin-torchvision.pth"))?;
    load_chosen(&parameters, network.encoder_prefix(), &path, &Request { only: Some(&only), ..Request::default() })?;
    let norm = numbers(&parameters, "layers.3.blocks.0.norm2.bias");
    assert_eq!(norm, value("layers.3.blocks.0.norm2.bias", norm.len()));
    assert_eq!(numbers(&parameters, "concat_back_dim.1.weight"), before);
    assert!(load_chosen(&parameters, network.encoder_prefix(), &path, &Request::default()).is_err());
    Ok(())
}
