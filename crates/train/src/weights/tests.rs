mod forms;
mod mutants;
mod refused;
mod swin;

use super::{Differences, Request, WeightsError, load, load_verified, read_config, save};
use crate::networks::{Arch, Encoder, ResNetConfig, Variant};
use candle_core::{DType, Device, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Role};
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::path::Path;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn encoder(dtype: DType, prefix: &str, seed: u64) -> candle_core::Result<Parameters> {
    let net = Encoder::new(ResNetConfig { arch: Arch::ResNet18, width: 4, variant: Variant::V15, in_channels: 3 });
    let mut parameters = Parameters::new(dtype, &Device::Cpu);
    net.init(&mut parameters, prefix, &Stream::new(seed, "init", 0, 0))?;
    Ok(parameters)
}

fn values(parameters: &Parameters, name: &str) -> candle_core::Result<Vec<f64>> {
    parameters.tensor(name)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

#[test]
fn what_was_saved_loads_under_another_prefix_and_precision() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (path, again) = (folder.path().join("encoder.safetensors"), folder.path().join("again.safetensors"));
    let from = encoder(DType::F32, "net.encoder", 1)?;
    save(&from, Some("net.encoder"), &path, r#"{"arch":"resnet18"}"#)?;
    save(&from, Some("net.encoder"), &again, r#"{"arch":"resnet18"}"#)?;
    assert_eq!(std::fs::read(&path)?, std::fs::read(&again)?);
    assert_eq!(read_config(&path)?.as_deref(), Some(r#"{"arch":"resnet18"}"#));
    let to = encoder(DType::F64, "", 2)?;
    let name = "layer2.0.downsample.0.weight";
    assert_ne!(values(&to, name)?, values(&from, &format!("net.encoder.{name}"))?);
    let report = load(&to, "", &path, false)?;
    assert!(report.missing.is_empty() && report.passed_over.is_empty() && report.found().is_none(), "{report:?}");
    assert_eq!(report.config.as_deref(), Some(r#"{"arch":"resnet18"}"#));
    for (name, _) in to.iter() {
        assert_eq!(values(&to, name)?, values(&from, &format!("net.encoder.{name}"))?, "{name}");
    }
    Ok(())
}

#[test]
fn convolutions_are_written_as_pytorch_lays_them_out() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("w.safetensors");
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    let weight = Tensor::arange(0f32, 24.0, &Device::Cpu)?.reshape((1, 2, 3, 4))?;
    parameters.insert("conv.weight", weight, Role::ConvWeight)?;
    parameters.insert("bn.num_batches_tracked", Tensor::new(7i64, &Device::Cpu)?, Role::Buffer)?;
    save(&parameters, None, &path, "")?;
    let bytes = std::fs::read(&path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let view = file.tensor("conv.weight")?;
    assert_eq!((view.shape(), view.dtype()), ([4, 3, 1, 2].as_slice(), safetensors::Dtype::F32));
    // Output channel 1, input channel 2, column 1 is number 1·12 + 2·4 + 1 in HWIO.
    assert_eq!(view.data()[4 * (6 + 4 + 1)..][..4], 21f32.to_le_bytes());
    let view = file.tensor("bn.num_batches_tracked")?;
    assert_eq!((view.shape(), view.data()), ([].as_slice(), 7i64.to_le_bytes().as_slice()));
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_changes_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("odd.safetensors");
    let target = encoder(DType::F32, "", 1)?;
    let before = values(&target, "bn1.weight")?;
    let odd = |conv1: &[usize]| -> candle_core::Result<HashMap<String, Tensor>> {
        Ok(HashMap::from([
            ("conv1.weight".into(), Tensor::ones(conv1, DType::BF16, &Device::Cpu)?),
            ("bn1.weight".into(), Tensor::zeros(4, DType::F16, &Device::Cpu)?),
            ("layer5.weight".into(), Tensor::zeros(4, DType::F32, &Device::Cpu)?),
            ("fc.bias".into(), Tensor::zeros(4, DType::F32, &Device::Cpu)?),
        ]))
    };
    candle_core::safetensors::save(&odd(&[4, 3, 7, 7])?, &path)?;
    let error = load(&target, "", &path, false).unwrap_err().to_string();
    for part in ["missing: bn1.bias", "and 93 more", "not in the network: layer5.weight"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("fc.bias") && !error.contains("num_batches_tracked"), "{error}");
    assert_eq!(values(&target, "bn1.weight")?, before);
    let error = load(&target, "", &path, true).unwrap_err().to_string();
    assert!(error.ends_with("does not fit the network:\n  not in the network: layer5.weight"), "{error}");
    let mut fitting = odd(&[4, 3, 7, 7])?;
    fitting.remove("layer5.weight");
    fitting.insert("head.weight".into(), Tensor::zeros(4, DType::F32, &Device::Cpu)?);
    candle_core::safetensors::save(&fitting, &path)?;
    let report = load(&target, "", &path, true)?;
    assert_eq!(report.missing.len(), 20 * 5 - 2);
    assert_eq!(report.passed_over, ["fc.bias", "head.weight"]);
    assert_eq!(report.passed_over().as_deref(), Some("2 other tensors: fc.bias, head.weight"));
    assert_eq!(values(&target, "bn1.weight")?, [0.0; 4]);
    assert_eq!(values(&target, "conv1.weight")?, [1.0; 4 * 3 * 49]);
    candle_core::safetensors::save(&odd(&[4, 3, 3, 3])?, &path)?;
    let error = load(&target, "", &path, true).unwrap_err().to_string();
    assert!(error.contains("wrong shape: conv1.weight: [4, 3, 3, 3] instead of [4, 3, 7, 7]"), "{error}");
    fitting.insert("bn1.num_batches_tracked".into(), Tensor::new(&[5i64], &Device::Cpu)?);
    candle_core::safetensors::save(&fitting, &path)?;
    load(&target, "", &path, true)?;
    assert_eq!(target.tensor("bn1.num_batches_tracked")?.to_scalar::<i64>()?, 5);
    fitting.remove("bn1.num_batches_tracked");
    let prefixed: HashMap<String, Tensor> =
        fitting.into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor)).collect();
    candle_core::safetensors::save(&prefixed, &path)?;
    assert_eq!(load(&target, "", &path, true)?.found().as_deref(), Some("prefix `module.`"));
    let foreign = HashMap::from([("stem.weight".to_owned(), Tensor::zeros(4, DType::F32, &Device::Cpu)?)]);
    candle_core::safetensors::save(&foreign, &path)?;
    let error = load(&target, "", &path, true).unwrap_err().to_string();
    let expected = "holds not one tensor of the network: the file has stem.weight, the network conv1.weight, bn1.weight, bn1.bias, …";
    assert!(error.contains(expected), "{error}");
    let other = load_verified(&target, "", &path, &"0".repeat(64), &Request::default());
    assert!(matches!(other, Err(WeightsError::Changed { .. })));
    std::fs::write(&path, "nonsense")?;
    assert!(matches!(load(&target, "", &path, true), Err(WeightsError::Format { .. })));
    assert!(matches!(load(&target, "", &folder.path().join("no.pth"), true), Err(WeightsError::Io { .. })));
    Ok(())
}

/// Three channels into a network of one, and back: what an image that is the same in all channels gives does not change.
#[test]
fn a_first_convolution_for_other_channels_is_adapted_and_said() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("w.safetensors");
    let network = |channels: usize, value: f32| -> candle_core::Result<Parameters> {
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        let weights: Vec<f32> = (0..channels).map(|channel| value + channel as f32).collect();
        let weights = Tensor::from_vec(weights, (1, 1, channels, 1), &Device::Cpu)?;
        parameters.insert("conv1.weight", weights, Role::ConvWeight)?;
        parameters.insert("bn1.weight", Tensor::zeros(1, DType::F32, &Device::Cpu)?, Role::NormWeight)?;
        Ok(parameters)
    };
    for (from, to, expected, said) in [
        (3, 1, vec![6.0], "first convolution summed from 3 to 1 channels"),
        (3, 4, vec![0.75, 1.5, 2.25, 0.75], "first convolution repeated and scaled from 3 to 4 channels"),
        (4, 3, vec![4.0 / 3.0, 8.0 / 3.0, 4.0], "first 3 of 4 channels of the first convolution kept, times 4/3"),
        (1, 3, vec![1.0 / 3.0; 3], "first convolution repeated and scaled from 1 to 3 channels"),
        (3, 3, vec![1.0, 2.0, 3.0], ""),
    ] {
        save(&network(from, 1.0)?, None, &path, "")?;
        let target = network(to, 100.0)?;
        assert_eq!(load(&target, "", &path, false)?.found().unwrap_or_default(), said);
        let found = values(&target, "conv1.weight")?;
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, expected {expected:?}");
        assert_eq!(found.len(), to);
    }
    Ok(())
}

/// A real file that lacks nine convolutions and their batch norms: each is named, and they alone start at random.
#[test]
fn what_a_real_file_lacks_is_listed() -> Outcome {
    let Some(data) = std::env::var_os("MATSSL_DATA") else {
        println!("skipped: MATSSL_DATA is not set");
        return Ok(());
    };
    let path = Path::new(&data).join("weights/resnet50-imagenet-partial.safetensors");
    let net = Encoder::new(ResNetConfig { arch: Arch::ResNet50, width: 64, variant: Variant::V1, in_channels: 3 });
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    net.init(&mut parameters, "", &Stream::new(0, "init", 0, 0))?;
    let Err(WeightsError::Mismatch { differences, .. }) = load(&parameters, "", &path, false) else {
        panic!("a file that lacks tensors was loaded");
    };
    let Differences { missing, unused, misshapen, .. } = *differences;
    assert!(unused.is_empty() && misshapen.is_empty(), "{unused:?} {misshapen:?}");
    let of = |kind: fn(&str) -> bool| missing.iter().filter(|name| kind(name)).count();
    let convolutions = of(|name| name.contains("conv") || name.ends_with("downsample.0.weight"));
    assert_eq!((convolutions, missing.len()), (9, 9 * 5), "{missing:?}");
    assert_eq!(load(&parameters, "", &path, true)?.missing, missing);
    Ok(())
}
