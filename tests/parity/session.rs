//! Files that cross between this program and PyTorch. `session.py` drives it: it names a folder in `MATSSL_PARITY_OUT`.

use crate::networks::{Encoder, Network, Segmentation, Swin, parameters};
use candle_core::{DType, Device, Result, Tensor, safetensors};
use matssl_run::nn::{Arch, Architecture, Mode, Parameters, Variant, weights};
use matssl_run::train::OptimizerSpec;
use matssl_run::train::optimizer::Optimizer;
use std::path::{Path, PathBuf};

/// The folder that the session works in.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MATSSL_PARITY_OUT").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: MATSSL_PARITY_OUT is not set; tests/parity/session.py sets it");
    }
    folder
}

fn encoder(arch: Arch) -> Encoder {
    Encoder { arch, variant: Variant::V15, batch: 2, size: [96, 70] }
}

fn segmentation(architecture: Architecture, arch: Arch) -> Segmentation {
    Segmentation { architecture, arch, classes: 5, batch: 2, size: [64, 96] }
}

/// Swin-T whole, and narrow networks on Swin.
fn swin(kind: &str) -> Swin {
    let (width, depths, window, side) = match kind {
        "swin" => (96, [2, 2, 6, 2], 7, 224),
        _ => (24, [2, 1, 2, 2], 8, 256),
    };
    let (mlp, arch) = if kind == "cs-unet" { ("residual", Some("resnet18".into())) } else { ("plain", None) };
    let (kind, mlp, size) = (kind.into(), mlp.into(), [side; 2]);
    Swin { kind, width, heads: 3, depths, window, mlp, arch, batch: 1, size }
}

/// Calls `$visit(file name, network, its config as JSON, its image)` for every network of the session.
macro_rules! each_network {
    ($visit:expr) => {
        for (file, arch) in [("resnet18", Arch::ResNet18), ("resnet50", Arch::ResNet50), ("resnet101", Arch::ResNet101)]
        {
            let network = encoder(arch);
            $visit(file, &network, serde_json::to_string(network.net().config())?)?;
        }
        for (file, architecture, arch) in [
            ("unet_resnet18", Architecture::Unet, Arch::ResNet18),
            ("unet_resnet50", Architecture::Unet, Arch::ResNet50),
            ("unet++_resnet18", Architecture::UnetPlusPlus, Arch::ResNet18),
            ("unet++_resnet50", Architecture::UnetPlusPlus, Arch::ResNet50),
        ] {
            let network = segmentation(architecture, arch);
            $visit(file, &network, serde_json::to_string(network.net().config())?)?;
        }
        for (file, kind) in [("swin_tiny", "swin"), ("swin_unet", "swin-unet"), ("cs_unet_resnet18", "cs-unet")] {
            let network = swin(kind);
            $visit(file, &network, network.config().to_string())?;
        }
    };
}

/// Weights after one step of Adam, so that nothing in them is left as it was made.
fn trained(network: &impl Network) -> Result<Parameters> {
    let parameters = parameters(network, DType::F32)?;
    let spec = OptimizerSpec::adam(1e-3, 1e-2);
    let (_, gradients) = network.train(&parameters, Mode::Train)?;
    Optimizer::new(spec).step(&parameters, &gradients, 1e-3, 1.0).map_err(candle_core::Error::wrap)?;
    Ok(parameters)
}

fn outputs_of(folder: &Path, file: &str) -> PathBuf {
    folder.join(format!("{file}.outputs.safetensors"))
}

/// `FILE.safetensors` by this program's own saving, and beside it the image and the outputs in inference mode, NHWC.
#[test]
fn session_writes() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let Some(folder) = folder() else { return Ok(()) };
    fn write(folder: &Path, file: &str, network: &impl Network, config: &str) -> anyhow::Result<()> {
        let parameters = trained(network)?;
        weights::save(&parameters, None, &folder.join(format!("{file}.safetensors")), config)?;
        let mut tensors: std::collections::HashMap<String, Tensor> = network.infer(&parameters)?.into_iter().collect();
        tensors.insert("x".to_owned(), network.image(DType::F32)?);
        Ok(safetensors::save(&tensors, outputs_of(folder, file))?)
    }
    each_network!(|file, network: &_, config: String| write(&folder, file, network, &config));
    Ok(())
}

/// The other way: `FILE.pth`, saved by PyTorch from the strictly loaded network, gives the same outputs to the bit.
#[test]
fn session_reads() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let Some(folder) = folder() else { return Ok(()) };
    fn read(folder: &Path, file: &str, network: &impl Network) -> anyhow::Result<()> {
        let path = folder.join(format!("{file}.pth"));
        if !path.exists() {
            println!("skipped: session.py has not yet saved {file}.pth");
            return Ok(());
        }
        let mut blank = Parameters::new(DType::F32, &Device::Cpu);
        network.init(&mut blank)?;
        let report = weights::load(&blank, "", &path, false)?;
        // A Swin transformer's file holds indices, which are computed here, and may hold torchvision's names.
        match file.contains("swin") {
            true => assert!(report.missing.is_empty(), "{file}: {report:?}"),
            false => assert_eq!(report, weights::LoadReport::default(), "{file}"),
        }
        let expected = safetensors::load(outputs_of(folder, file), &Device::Cpu)?;
        for (name, output) in network.infer(&blank)? {
            let difference = (output - &expected[&name])?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert_eq!(difference, 0.0, "{file} {name}");
        }
        Ok(())
    }
    each_network!(|file, network: &_, _config: String| read(&folder, file, network));
    Ok(())
}

/// Without PyTorch: what is saved loads again, whole.
#[test]
fn saved_files_load_again() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("network.safetensors");
    let network = segmentation(Architecture::UnetPlusPlus, Arch::ResNet18);
    let parameters = parameters(&network, DType::F32)?;
    weights::save(&parameters, None, &path, &serde_json::to_string(network.net().config())?)?;
    let mut blank = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut blank)?;
    let report = weights::load(&blank, "", &path, false)?;
    assert_eq!(weights::LoadReport { config: None, ..report }, weights::LoadReport::default());
    for (name, parameter) in parameters.iter().filter(|(_, parameter)| parameter.role.is_trainable()) {
        let difference = (parameter.var.as_tensor() - blank.tensor(name)?)?.abs()?.max_all()?;
        assert_eq!(difference.to_scalar::<f32>()?, 0.0, "{name}");
    }
    Ok(())
}
