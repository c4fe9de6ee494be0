//! Files of DINOv2's vision transformers: names as published, and what is another network refused.

use super::super::{LoadReport, Request, WeightsError, check_bytes, save};
use super::Outcome;
use crate::networks::{Encoder, EncoderConfig};
use candle_core::{DType, Device};
use matssl_base::random::Stream;
use matssl_tensor::Parameters;

fn vit(arch: &str, depth: usize) -> Encoder {
    let text = format!(r#"{{"arch":"{arch}","width":4,"depth":{depth},"heads":1,"grid":2}}"#);
    Encoder::new(serde_json::from_str::<EncoderConfig>(&text).unwrap())
}

/// The bytes of a file of `network`, as safetensors.
fn file(network: &Encoder) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, "", &Stream::new(0, "init", 0, 0))?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("vit.safetensors");
    save(&parameters, None, &path, "{}")?;
    Ok(std::fs::read(path)?)
}

fn check(bytes: &[u8], network: &Encoder) -> Result<LoadReport, WeightsError> {
    check_bytes(bytes, &network.shapes(), &Request::default())
}

#[test]
fn a_vision_transformer_is_its_own_and_no_other() -> Outcome {
    let (plain, registers) = (vit("dinov2-small", 2), vit("dinov2-small-reg", 2));
    for network in [&plain, &registers] {
        let report = check(&file(network)?, network)?;
        assert!(report.missing.is_empty() && report.passed_over.is_empty() && report.found().is_none());
    }
    for (theirs, ours, expected) in [
        (&registers, &plain, "register_tokens"),
        (&plain, &registers, "register_tokens"),
        (&vit("dinov2-small", 3), &plain, "blocks.2."),
    ] {
        let error = check(&file(theirs)?, ours).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    Ok(())
}
