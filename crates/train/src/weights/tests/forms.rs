//! Files in the form of what others publish or save: the network is found, said, and read right.

use super::super::{Request, WeightsError, check_bytes, load_verified};
use super::Outcome;
use crate::networks::{Arch, Encoder, ResNetConfig, Variant};
use candle_core::{DType, Device};
use flate2::read::GzDecoder;
use matssl_base::random::Stream;
use matssl_tensor::Parameters;
use std::io::Read;

macro_rules! forms {
    ($($name:literal),* $(,)?) => { [$(($name, include_bytes!(concat!("../testdata/forms/", $name, ".gz")).as_slice())),*] };
}

/// Made by testdata/forms/generate.py.
const FORMS: [(&str, &[u8]); 25] = forms![
    "torchvision.pth",
    "twenty-one-characters.pth",
    "timm.safetensors",
    "timm.pth.tar",
    "micronet.pth.tar",
    "micronet-training.pth.tar",
    "moco-v2.pth.tar",
    "moco-v3.pth.tar",
    "densecl.pth",
    "densecl-backbone.pth",
    "lightly.pth",
    "lightning.ckpt",
    "compiled.pt",
    "matssl.pth",
    "matssl-mocov2.pth",
    "matssl-densecl.pth",
    "dino.pth",
    "barlowtwins.pth",
    "vissl.torch",
    "smp.pth",
    "module.pth",
    "module-inside.pth",
    "torchscript.pt",
    "sparse.pth",
    "quantised.pth",
];

/// The content of one of [`FORMS`].
pub(super) fn form(name: &str) -> Vec<u8> {
    let (_, compressed) = FORMS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
    let mut bytes = Vec::new();
    GzDecoder::new(*compressed).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The network of all forms.
pub(super) fn resnet() -> Encoder {
    Encoder::new(ResNetConfig { arch: Arch::ResNet18, width: 1, variant: Variant::V15, in_channels: 3 })
}

/// The numbers of a tensor, as `values` in testdata/forms/generate.py makes them.
fn value(salt: &str, name: &str, count: usize) -> Vec<f64> {
    let start = format!("{salt}/{name}")
        .bytes()
        .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    if name.ends_with("num_batches_tracked") {
        return vec![f64::from(start % 1000)];
    }
    let numbers = (0..count).map(|i| ((i * 7 + (start % 251) as usize) % 251) as f64 / 64.0 - 125.0 / 64.0);
    // No variance is negative.
    numbers.map(|number| if name.ends_with("running_var") { number.abs() } else { number }).collect()
}

/// Loads a form as `request` asks, and holds every tensor to what was written. Returns where it was found and what was passed over.
fn loaded(name: &str, request: &Request<'_>, salt: &str) -> Result<(String, usize), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (path, bytes) = (folder.path().join(name), form(name));
    std::fs::write(&path, &bytes)?;
    let net = resnet();
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    net.init(&mut parameters, "encoder", &Stream::new(0, "init", 0, 0))?;
    let digest = blake3::hash(&bytes).to_hex();
    let report = load_verified(&parameters, "encoder", &path, &digest, request)?;
    assert_eq!(check_bytes(&bytes, &net.shapes(), request)?, report, "{name}");
    for (name, parameter) in parameters.iter() {
        let tensor = super::super::layout::to_pytorch(parameter)?;
        let found = tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let name = name.strip_prefix("encoder.").unwrap();
        assert_eq!(found, value(salt, name, found.len()), "{name}");
    }
    Ok((report.found().unwrap_or_default(), report.passed_over.len()))
}

#[test]
fn the_one_network_of_a_file_is_found_and_said() -> Outcome {
    for (name, found, passed_over) in [
        ("torchvision.pth", "", 2),
        ("twenty-one-characters.pth", "", 2),
        ("timm.safetensors", "", 2),
        ("micronet.pth.tar", "", 2),
        ("micronet-training.pth.tar", "key `state_dict`, prefix `module.`", 2),
        ("densecl-backbone.pth", "key `state_dict`", 0),
        ("lightly.pth", "prefix `backbone.`, numbered layers (0 is conv1, 1 bn1, 4 to 7 layer1 to layer4)", 2),
        ("lightning.ckpt", "key `state_dict`, prefix `model.backbone.`", 2),
        ("compiled.pt", "key `model_state_dict`, prefix `_orig_mod.module.encoder.`", 0),
        // All tensors of the backbone by a second name, two gates, two of the head.
        ("matssl.pth", "prefix `backbone.`", 120 + 4),
        ("barlowtwins.pth", "key `model`, prefix `module.backbone.`", 2),
        ("vissl.torch", "key `classy_state_dict.base_model.model.trunk`, prefix `_feature_blocks.`", 0),
        ("smp.pth", "prefix `encoder.`", 2),
    ] {
        let (text, passed) = loaded(name, &Request::default(), "").map_err(|error| format!("{name}: {error}"))?;
        assert_eq!((text.as_str(), passed), (found, passed_over), "{name}");
    }
    Ok(())
}

#[test]
fn of_several_networks_that_fit_key_and_prefix_choose() -> Outcome {
    for (name, places, chosen, salt, other, usual) in [
        (
            "moco-v2.pth.tar",
            ["key `state_dict`, prefix `module.encoder_k.`", "key `state_dict`, prefix `module.encoder_q.`"],
            (None, Some("module.encoder_q.")),
            "k",
            (None, Some("module.encoder_k")),
            "`prefix = \"module.encoder_q.\"`",
        ),
        (
            "moco-v3.pth.tar",
            ["key `state_dict`, prefix `module.base_encoder.`", "key `state_dict`, prefix `module.momentum_encoder.`"],
            (None, Some("module.base_encoder")),
            "k",
            (Some("state_dict"), Some("module.momentum_encoder.")),
            "`prefix = \"module.base_encoder.\"`",
        ),
        (
            "densecl.pth",
            ["key `state_dict`, prefix `backbone.`", "key `state_dict`, prefix `encoder_k.0.`"],
            (None, Some("encoder_q.0.")),
            "k",
            (None, Some("encoder_k.0")),
            "`prefix = \"encoder_q.0.\"`",
        ),
        (
            "timm.pth.tar",
            ["key `state_dict`, prefix `module.`", "key `state_dict_ema`"],
            (Some("state_dict"), None),
            "ema",
            (Some("state_dict_ema"), Some("")),
            "`key = \"state_dict_ema\"`",
        ),
        (
            "dino.pth",
            ["key `student`, prefix `module.backbone.`", "key `teacher`, prefix `backbone.`"],
            (Some("teacher"), None),
            "k",
            (Some("student"), None),
            "`key = \"teacher\"`",
        ),
        (
            "matssl-mocov2.pth",
            ["prefix `backbone.`", "prefix `backbone_momentum.`"],
            (None, Some("backbone.")),
            "k",
            (None, Some("backbone_momentum.")),
            "`prefix = \"backbone.\"`",
        ),
        (
            "matssl-densecl.pth",
            ["prefix `backbone.backbone.`", "prefix `backbone_momentum.backbone.`"],
            (None, Some("backbone.backbone.")),
            "k",
            (None, Some("backbone_momentum.backbone.")),
            "`prefix = \"backbone.backbone.\"`",
        ),
    ] {
        let error = loaded(name, &Request::default(), "").unwrap_err().to_string();
        for part in places.iter().copied().chain(["networks that fit", "choose one with `key` and `prefix`"]) {
            assert!(error.contains(part), "{name}: {error}");
        }
        assert!(error.ends_with(&format!("e.g. {usual}")), "{name}: {error}");
        for ((key, prefix), salt) in [(chosen, ""), (other, salt)] {
            let request = Request { key, prefix, ..Request::default() };
            loaded(name, &request, salt).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}

/// DenseCL's backbone is a part of its query encoder: the same tensors by two names are one network.
#[test]
fn the_same_tensors_by_two_names_are_no_choice() -> Outcome {
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    resnet().init(&mut parameters, "", &Stream::new(0, "init", 0, 0))?;
    let twice: std::collections::HashMap<String, candle_core::Tensor> = parameters
        .iter()
        .flat_map(|(name, parameter)| {
            let tensor = super::super::layout::to_pytorch(parameter).unwrap().contiguous().unwrap();
            [(format!("a.{name}"), tensor.clone()), (format!("b.{name}"), tensor)]
        })
        .collect();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("twice.safetensors");
    candle_core::safetensors::save(&twice, &path)?;
    assert_eq!(super::super::load(&parameters, "", &path, false)?.prefix, "a.");
    Ok(())
}

#[test]
fn a_choice_that_is_not_in_the_file_names_what_is() {
    let bytes = form("dino.pth");
    for (key, prefix, expected) in [
        (Some("model"), None, "key `model`: they are at key `student`, prefix `module.backbone.`; or at key `teacher`"),
        (Some("teacher"), Some("module.backbone."), "key `teacher`, prefix `module.backbone.`: they are at key"),
    ] {
        let request = Request { key, prefix, ..Request::default() };
        let error = check_bytes(&bytes, &resnet().shapes(), &request).unwrap_err();
        assert!(matches!(error, WeightsError::NotInFile { .. }) && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_the_cure() {
    for (name, expected) in [
        ("module.pth", "a pickled module (torch.nn.modules.container.Sequential), not a state_dict"),
        ("module.pth", "`torch.save(model.state_dict(), \"weights.pth\")`"),
        ("module-inside.pth", "a pickled module (__main__.Net), not a state_dict"),
        ("torchscript.pt", "a TorchScript archive: save its weights alone"),
        ("sparse.pth", "conv1.weight: a sparse tensor, which is not read: save it as `tensor.to_dense()`"),
        ("quantised.pth", "conv1.weight: a quantised tensor, which is not read"),
    ] {
        let error = check_bytes(&form(name), &resnet().shapes(), &Request::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

/// A network of another kind: what the file's tensors look like is said.
#[test]
fn another_network_is_named() {
    let other = Encoder::new(ResNetConfig { arch: Arch::ResNet34, width: 1, variant: Variant::V15, in_channels: 3 });
    for name in ["torchvision.pth", "lightning.ckpt"] {
        let error = check_bytes(&form(name), &other.shapes(), &Request::default()).unwrap_err().to_string();
        let expected = "these look like a resnet18 (width 1); the network is a resnet34 (width 1)";
        assert!(error.contains(expected) && error.contains("missing: layer1.2.conv1.weight"), "{error}");
        assert!(error.contains("more") && error.lines().count() < 12, "{error}");
    }
}
