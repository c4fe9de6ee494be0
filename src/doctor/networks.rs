//! Checks forward and backward passes of narrow networks against the CPU, and that two runs are bit-identical.

use super::numbers::{Numbers, Outcome, on_cpu, outcome, relative_error, same_bits, worst};
use super::step::{Say, open};
use crate::nn::losses::{cross_entropy, dice};
use crate::nn::ops::gpu;
use crate::nn::{DeviceName, Encoder, EncoderConfig, Mode, Precision, SegmentationNetwork, Tape};
use crate::random::Stream;
use anyhow::{Result as Checked, ensure};
use candle_core::{DType, Device, Error, Result, Tensor};
use serde_json::json;

/// Limit of the relative error in float64.
const FLOAT64: f64 = 1e-8;
/// Limit of the error of all gradients in float32, as a multiple of the CPU's error: cuDNN adds terms one after
/// another.
const TIMES_THE_CPUS: f64 = 8.0;
/// Limits of the errors of the output and of all gradients in bfloat16. With fixed statistics, because batch norms in
/// training magnify errors.
const BFLOAT16: [f64; 2] = [0.02, 0.15];
/// Limit of the error of the first batch norm's variance in bfloat16. No earlier operation magnifies errors.
const BFLOAT16_VARIANCE: f64 = 1e-3;

type Network = fn(&Numbers<'_>, Mode) -> Result<Outcome>;

pub(super) fn resnet(name: DeviceName, say: Say<'_>) -> Checked<String> {
    check(name, resnet18, say)
}

pub(super) fn unet_plus_plus(name: DeviceName, say: Say<'_>) -> Checked<String> {
    say("with the Dice loss");
    check(name, |n, mode| segmentation(n, mode, true), say)?;
    say("with cross-entropy");
    check(name, |n, mode| segmentation(n, mode, false), say)
}

/// A forward and backward pass of a narrow ResNet-18. The features are their own output gradients.
fn resnet18(n: &Numbers<'_>, mode: Mode) -> Result<Outcome> {
    resnet_of("resnet18", n, mode)
}

pub(super) fn resnet_of(arch: &str, n: &Numbers<'_>, mode: Mode) -> Result<Outcome> {
    let config: EncoderConfig = serde_json::from_value(json!({ "arch": arch, "width": 8 })).map_err(Error::wrap)?;
    let (network, mut parameters) = (Encoder::new(config), n.parameters());
    network.init(&mut parameters, "", &Stream::new(4, "doctor", 0, 0))?;
    let tape = Tape::new(&parameters, mode);
    let features = network.features(&tape, "", &tape.input(&n.tensor(&[3, 64, 64, 3], 0)?)?)?;
    let pooled = features.iter().map(|stage| tape.global_average_pool(stage)).collect::<Result<Vec<_>>>()?;
    let all = tape.concat(&pooled.iter().collect::<Vec<_>>())?;
    let seed = all.tensor().clone();
    outcome(tape, all, seed)
}

/// A training step of a narrow U-Net++ with ignored pixels and without the optimiser.
fn segmentation(n: &Numbers<'_>, mode: Mode, by_dice: bool) -> Result<Outcome> {
    let config = json!({
        "encoder": { "arch": "resnet18", "width": 8 }, "decoder_channels": [16, 16, 8, 8, 8], "classes": 5,
    });
    let network = SegmentationNetwork::new(serde_json::from_value(config).map_err(Error::wrap)?);
    let mut parameters = n.parameters();
    network.init(&mut parameters, &Stream::new(5, "doctor", 0, 0))?;
    let mut stream = Stream::new(6, "doctor", 0, 0);
    let labels: Vec<u8> = (0..2 * 64 * 64).map(|_| [0, 1, 2, 3, 255][stream.below(5) as usize]).collect();
    let labels = Tensor::from_vec(labels, (2, 64, 64), &Device::Cpu)?;
    let tape = Tape::new(&parameters, mode);
    let logits = network.forward(&tape, &tape.input(&n.tensor(&[2, 64, 64, 3], 0)?)?)?;
    let loss = if by_dice { dice } else { cross_entropy }(logits.tensor(), &labels, Some(255))?;
    let mut found = outcome(tape, logits, loss.gradient)?;
    found.insert("loss".to_owned(), Tensor::new(&[loss.loss], &Device::Cpu)?);
    Ok(found)
}

/// The relative error of all gradients together.
fn gradient_error(found: &Outcome, truth: &Outcome) -> Result<f64> {
    let joined = |outcome: &Outcome| {
        let gradients = outcome.iter().filter(|(name, _)| name.starts_with("gradient"));
        Tensor::cat(&gradients.map(|(_, tensor)| tensor.flatten_all()).collect::<Result<Vec<_>>>()?, 0)
    };
    relative_error(&joined(found)?, &joined(truth)?)
}

/// Compares a network on the device `name` with the CPU in each precision and mode.
pub(super) fn check(name: DeviceName, run: Network, say: Say<'_>) -> Checked<String> {
    let device = open(name, Precision::Float32)?;
    let on_device = |dtype, precision, mode| run(&Numbers::new(&device, dtype, precision), mode);
    let here = |dtype, mode| on_cpu(|n| run(n, mode), dtype);
    let truth = here(DType::F64, Mode::Train)?;

    let (error, whose) = worst(&on_device(DType::F64, Precision::Float32, Mode::Train)?, &truth)?;
    say(&format!("float64: relative error up to {error:.1e}"));
    ensure!(error <= FLOAT64, "float64: {whose} has a relative error of {error:.1e}");

    let (single, cpus) = (on_device(DType::F32, Precision::Float32, Mode::Train)?, here(DType::F32, Mode::Train)?);
    let (error, cpus) = (gradient_error(&single, &truth)?, gradient_error(&cpus, &truth)?);
    say(&format!("float32: relative error of gradients {error:.1e}, on the CPU {cpus:.1e}"));
    ensure!(error <= TIMES_THE_CPUS * cpus, "float32: relative error of gradients {error:.1e}, on the CPU {cpus:.1e}");

    let (double, single) = (here(DType::F64, Mode::Eval)?, on_device(DType::F32, Precision::Float32, Mode::Eval)?);
    let (error, _) = worst(&single, &double)?;
    say(&format!("float32: relative error of a prediction {error:.1e}"));
    ensure!(error <= 1e-5, "float32: relative error of a prediction {error:.1e}");

    let mut precisions = vec![Precision::Float32];
    if gpu::find(&device)?.is_some() {
        bfloat16(&run, &device, &truth, say)?;
        precisions.push(Precision::Bf16);
    }
    for precision in precisions {
        let [once, again] = [(); 2].map(|()| on_device(DType::F32, precision, Mode::Train));
        let (once, again) = (once?, again?);
        for (tensor, value) in &once {
            ensure!(same_bits(value, &again[tensor])?, "{}: {tensor} differs between two runs", precision.name());
        }
        say(&format!("{}: two runs are bit-identical", precision.name()));
    }
    Ok("agrees with the CPU, and two runs are bit-identical".into())
}

/// Compares bfloat16 with float64. With fixed batch norms, because training magnifies small errors (also in PyTorch).
fn bfloat16(run: &Network, device: &Device, truth: &Outcome, say: Say<'_>) -> Checked<()> {
    let numbers = Numbers::new(device, DType::F32, Precision::Bf16);
    let (half, frozen) = (run(&numbers, Mode::Frozen)?, on_cpu(|n| run(n, Mode::Frozen), DType::F64)?);
    let [output, gradients] = [relative_error(&half["output"], &frozen["output"])?, gradient_error(&half, &frozen)?];
    let what = format!("bfloat16: relative error of the output {output:.1e}, of gradients {gradients:.1e}");
    say(&what);
    ensure!(output <= BFLOAT16[0] && gradients <= BFLOAT16[1], "{what}");
    let half = run(&numbers, Mode::Train)?;
    let stem = truth.keys().find(|name| name.ends_with("bn1.running_var") && !name.contains("layer"));
    if let Some(stem) = stem {
        let variance = relative_error(&half[stem], &truth[stem])?;
        ensure!(variance <= BFLOAT16_VARIANCE, "bfloat16: {stem} has a relative error of {variance:.1e}");
    }
    for (name, tensor) in &half {
        let sum = tensor.sqr()?.sum_all()?.to_scalar::<f64>()?;
        ensure!(sum.is_finite(), "bfloat16: {name} is not finite");
    }
    Ok(())
}
