//! The networks against PyTorch in float64: outputs, every parameter's gradient, running statistics and losses, to a
//! relative 1e-8. `tests/parity/generate.py` wrote the numbers.

use candle_core::{DType, Device, Result, Tensor};
use matssl_run::nn::{
    Arch, Gradients, Mode, Parameters, ResNet, ResNetConfig, Role, Tape, UnetPlusPlus, UnetPlusPlusConfig, Variant,
    losses, weights,
};
use matssl_run::random::Stream;
use serde::Deserialize;
use std::collections::BTreeMap;

const TOLERANCE: f64 = 1e-8;

/// Norm and two projections of a tensor.
type Summary = [f64; 3];

#[derive(Deserialize)]
struct Fixture {
    encoders: Vec<Encoder>,
    segmentations: Vec<Segmentation>,
}

#[derive(Deserialize)]
struct Encoder {
    arch: Arch,
    variant: Variant,
    size: [usize; 2],
    eval: Vec<Summary>,
    train: Vec<Summary>,
    gradients: BTreeMap<String, Summary>,
    buffers: BTreeMap<String, Summary>,
}

#[derive(Deserialize)]
struct Segmentation {
    arch: Arch,
    size: [usize; 2],
    classes: usize,
    eval: Summary,
    train: Summary,
    dice: f64,
    dice_gradient: Summary,
    cross_entropy: f64,
    cross_entropy_gradient: Summary,
    gradients: BTreeMap<String, Summary>,
    buffers: BTreeMap<String, Summary>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("parity/networks.json")).expect("networks.json is what generate.py wrote")
}

/// `uniform` of generate.py.
fn hashed(name: &str, count: usize) -> Vec<f64> {
    let start = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
    let draw = |index: u64| {
        let mut z = start.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count as u64).map(draw).collect()
}

fn tensor(name: &str, shape: &[usize]) -> Result<Tensor> {
    Tensor::from_vec(hashed(name, shape.iter().product()), shape, &Device::Cpu)
}

/// `weight` of generate.py, for every parameter and buffer.
fn fill(parameters: &Parameters) -> Result<()> {
    for (name, parameter) in parameters.iter().filter(|(name, _)| !name.ends_with("tracked")) {
        let var = &parameter.var;
        let value = if parameter.role == Role::ConvWeight {
            let (height, width, channels_in, channels_out) = var.dims4()?;
            let scale = (6.0 / (channels_in * height * width) as f64).sqrt();
            (tensor(name, &[channels_out, channels_in, height, width])? * scale)?.permute((2, 3, 1, 0))?.contiguous()?
        } else if name.ends_with("running_var") || name.ends_with("weight") {
            ((tensor(name, var.dims())? * 0.3)? + 1.0)?
        } else {
            (tensor(name, var.dims())? * 0.1)?
        };
        var.set(&value.to_dtype(var.dtype())?)?;
    }
    Ok(())
}

fn encoder(config: ResNetConfig, dtype: DType) -> Result<(ResNet, Parameters)> {
    let net = ResNet::new(config);
    let mut parameters = Parameters::new(dtype, &Device::Cpu);
    net.init(&mut parameters, "", &Stream::new(0, "parity", 0, 0))?;
    fill(&parameters)?;
    Ok((net, parameters))
}

fn segmentation(arch: Arch, classes: usize, dtype: DType) -> Result<(UnetPlusPlus, Parameters)> {
    let encoder = ResNetConfig { arch, width: 64, variant: Variant::V15 };
    let decoder_channels = [256, 128, 64, 32, 16];
    let net = UnetPlusPlus::new(UnetPlusPlusConfig { encoder, decoder_channels, classes });
    let mut parameters = Parameters::new(dtype, &Device::Cpu);
    net.init(&mut parameters, &Stream::new(0, "parity", 0, 0))?;
    fill(&parameters)?;
    Ok((net, parameters))
}

fn near(what: &str, found: f64, expected: f64, scale: f64) {
    assert!((found - expected).abs() <= TOLERANCE * scale, "{what}: {found}, PyTorch has {expected}");
}

/// Holds `values` (in PyTorch's element order) to PyTorch's summary of the tensor `name`.
fn same(what: &str, name: &str, values: &Tensor, expected: &Summary) -> Result<()> {
    let values = values.flatten_all()?.to_vec1::<f64>()?;
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    near(&format!("{what}: norm of {name}"), norm, expected[0], expected[0]);
    for number in 1..=2 {
        let direction = hashed(&format!("{name}#{number}"), values.len());
        let projection = values.iter().zip(direction).map(|(value, direction)| value * direction).sum();
        near(&format!("{what}: projection {number} of {name}"), projection, expected[number], expected[0]);
    }
    Ok(())
}

/// Every gradient and every running statistic, none left out on either side.
fn same_state(
    what: &str,
    parameters: &Parameters,
    gradients: &Gradients,
    expected: &BTreeMap<String, Summary>,
    buffers: &BTreeMap<String, Summary>,
) -> Result<()> {
    let mut names: Vec<&str> = gradients.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{what}: which parameters have gradients");
    for (name, gradient) in gradients.iter() {
        let is_kernel = name != "x" && parameters.get(name)?.role == Role::ConvWeight;
        let gradient = if is_kernel { gradient.permute((3, 2, 0, 1))? } else { gradient.clone() };
        same(what, name, &gradient, &expected[name])?;
    }
    for (name, expected) in buffers {
        same(what, name, parameters.tensor(name)?, expected)?;
    }
    Ok(())
}

#[test]
fn encoders_compute_what_torchvisions_do() -> Result<()> {
    for expected in fixture().encoders {
        let what = format!("{:?} {:?}", expected.arch, expected.variant);
        let config = ResNetConfig { arch: expected.arch, width: 64, variant: expected.variant };
        let (net, parameters) = encoder(config, DType::F64)?;
        let [height, width] = expected.size;
        let x = tensor("x", &[2, height, width, 3])?;
        let tape = Tape::new(&parameters, Mode::Eval);
        for (level, feature) in net.features(&tape, "", &tape.constant(x.clone()))?.iter().enumerate() {
            same(&format!("{what} eval"), &format!("feature{level}"), feature.tensor(), &expected.eval[level])?;
        }
        let tape = Tape::new(&parameters, Mode::Train);
        let features = net.features(&tape, "", &tape.variable("x", x))?;
        let mut seeds = Vec::new();
        for (level, feature) in features.into_iter().enumerate() {
            same(&format!("{what} train"), &format!("feature{level}"), feature.tensor(), &expected.train[level])?;
            // The seeds of generate.py are drawn in the order of an NHWC tensor, as everything between networks.
            let scale = 1.0 / (feature.tensor().elem_count() as f64).sqrt();
            let seed = (tensor(&format!("seed{level}"), feature.tensor().dims())? * scale)?;
            seeds.push((feature, seed));
        }
        let gradients = tape.backward(seeds)?;
        same_state(&what, &parameters, &gradients, &expected.gradients, &expected.buffers)?;
    }
    Ok(())
}

/// `labels` of generate.py.
fn labels(classes: usize, shape: [usize; 3]) -> Result<Tensor> {
    let count = shape.iter().product();
    let label = |(draw, ignored): (f64, f64)| {
        if ignored > 0.8 { 255 } else { ((draw + 1.0) / 2.0 * (classes - 1) as f64) as u8 }
    };
    let labels: Vec<u8> = hashed("labels", count).into_iter().zip(hashed("ignored", count)).map(label).collect();
    Tensor::from_vec(labels, &shape, &Device::Cpu)
}

#[test]
fn unet_plus_plus_and_losses_compute_what_smps_do() -> Result<()> {
    for expected in fixture().segmentations {
        let what = format!("U-Net++ on {:?}", expected.arch);
        let (net, parameters) = segmentation(expected.arch, expected.classes, DType::F64)?;
        let [height, width] = expected.size;
        let x = tensor("x", &[2, height, width, 3])?;
        let target = labels(expected.classes, [2, height, width])?;
        let tape = Tape::new(&parameters, Mode::Eval);
        let logits = net.forward(&tape, &tape.constant(x.clone()))?;
        same(&format!("{what} eval"), "logits", logits.tensor(), &expected.eval)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let logits = net.forward(&tape, &tape.constant(x))?;
        same(&format!("{what} train"), "logits", logits.tensor(), &expected.train)?;
        let entropy = losses::cross_entropy(logits.tensor(), &target, Some(255))?;
        near(&format!("{what}: cross entropy"), entropy.loss, expected.cross_entropy, 1.0);
        let name = format!("{what}: gradient of cross entropy");
        same(&name, "logits", &entropy.gradient, &expected.cross_entropy_gradient)?;
        let dice = losses::dice(logits.tensor(), &target, Some(255))?;
        near(&format!("{what}: Dice"), dice.loss, expected.dice, 1.0);
        same(&format!("{what}: gradient of Dice"), "logits", &dice.gradient, &expected.dice_gradient)?;
        let gradients = tape.backward(vec![(logits, dice.gradient)])?;
        same_state(&what, &parameters, &gradients, &expected.gradients, &expected.buffers)?;
    }
    Ok(())
}

/// Saves what `strict_load.py` reads, if `MATSSL_PARITY_OUT` names a folder, and loads it back; also reads the `.pth`
/// that the script leaves there.
#[test]
fn saved_files_load_again() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::var_os("MATSSL_PARITY_OUT").map_or(temporary.path().to_owned(), Into::into);
    let config = ResNetConfig { arch: Arch::ResNet50, width: 64, variant: Variant::V15 };
    let (net, parameters) = encoder(config, DType::F32)?;
    let path = folder.join("resnet50.safetensors");
    weights::save(&parameters, None, &path, &serde_json::to_string(net.config())?)?;
    let (unet, all) = segmentation(Arch::ResNet18, 5, DType::F32)?;
    weights::save(&all, None, &folder.join("unet_plus_plus.safetensors"), &serde_json::to_string(unet.config())?)?;
    let pth = folder.join("resnet50.pth");
    for path in [path, pth].iter().filter(|path| path.exists()) {
        let mut blank = Parameters::new(DType::F32, &Device::Cpu);
        net.init(&mut blank, "", &Stream::new(1, "parity", 0, 0))?;
        assert_eq!(weights::load(&blank, "", path, false)?, weights::LoadReport::default());
        for (name, parameter) in parameters.iter().filter(|(_, parameter)| parameter.role.is_trainable()) {
            let difference = (parameter.var.as_tensor() - blank.tensor(name)?)?.abs()?.max_all()?;
            assert_eq!(difference.to_scalar::<f32>()?, 0.0, "{name}");
        }
    }
    Ok(())
}
