//! Whole steps of narrow networks, forward and back, against the CPU's, and twice for the same bits.

use super::numbers::{Numbers, Outcome, on_cpu, outcome, relative_error, same_bits, worst};
use super::step::{Say, open};
use crate::nn::losses::{cross_entropy, dice};
use crate::nn::ops::gpu;
use crate::nn::{DeviceName, Mode, Precision, ResNet, SegmentationNetwork, Tape};
use crate::random::Stream;
use anyhow::{Result as Checked, ensure};
use candle_core::{DType, Device, Error, Result, Tensor};
use serde_json::json;

/// Of the norm, in float64.
const FLOAT64: f64 = 1e-8;
/// All gradients' error in float32, as a multiple of the CPU's: cuDNN adds the terms of its sums one after another.
const TIMES_THE_CPUS: f64 = 8.0;
/// In bfloat16 with fixed statistics, where batch norms do not magnify errors: of the output, and of all gradients.
const BFLOAT16: [f64; 2] = [0.02, 0.15];
/// Of the first batch norm's variance in bfloat16, which comes before all that magnifies errors.
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

/// A pass of a narrow ResNet-18 and back; the seeds are the features themselves.
fn resnet18(n: &Numbers<'_>, mode: Mode) -> Result<Outcome> {
    resnet_of("resnet18", n, mode)
}

pub(super) fn resnet_of(arch: &str, n: &Numbers<'_>, mode: Mode) -> Result<Outcome> {
    let config = serde_json::from_value(json!({ "arch": arch, "width": 8 })).map_err(Error::wrap)?;
    let (network, mut parameters) = (ResNet::new(config), n.parameters());
    network.init(&mut parameters, "", &Stream::new(4, "doctor", 0, 0))?;
    let tape = Tape::new(&parameters, mode);
    let features = network.features(&tape, "", &tape.input(&n.tensor(&[3, 64, 64, 3], 0)?)?)?;
    let pooled = features.iter().map(|stage| tape.global_average_pool(stage)).collect::<Result<Vec<_>>>()?;
    let all = tape.concat(&pooled.iter().collect::<Vec<_>>())?;
    let seed = all.tensor().clone();
    outcome(tape, all, seed)
}

/// A training step of a narrow U-Net++ without its optimiser, with some pixels ignored.
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
    let made = if by_dice { dice } else { cross_entropy }(logits.tensor(), &labels, Some(255))?;
    let mut found = outcome(tape, logits, made.gradient)?;
    found.insert("loss".to_owned(), Tensor::new(&[made.loss], &Device::Cpu)?);
    Ok(found)
}

/// The error of all gradients together.
fn together(found: &Outcome, truth: &Outcome) -> Result<f64> {
    let joined = |outcome: &Outcome| {
        let gradients = outcome.iter().filter(|(name, _)| name.starts_with("gradient"));
        Tensor::cat(&gradients.map(|(_, tensor)| tensor.flatten_all()).collect::<Result<Vec<_>>>()?, 0)
    };
    relative_error(&joined(found)?, &joined(truth)?)
}

/// Holds a network on `name` to the CPU's in each precision and mode.
pub(super) fn check(name: DeviceName, run: Network, say: Say<'_>) -> Checked<String> {
    let device = open(name, Precision::Float32)?;
    let on_device = |dtype, precision, mode| run(&Numbers::new(&device, dtype, precision), mode);
    let here = |dtype, mode| on_cpu(|n| run(n, mode), dtype);
    let truth = here(DType::F64, Mode::Train)?;

    let (error, whose) = worst(&on_device(DType::F64, Precision::Float32, Mode::Train)?, &truth)?;
    say(&format!("float64: off by {error:.1e} at most"));
    ensure!(error <= FLOAT64, "float64: {whose} is off by {error:.1e}");

    let (single, cpus) = (on_device(DType::F32, Precision::Float32, Mode::Train)?, here(DType::F32, Mode::Train)?);
    let (error, cpus) = (together(&single, &truth)?, together(&cpus, &truth)?);
    say(&format!("float32: gradients are off by {error:.1e}, the CPU's by {cpus:.1e}"));
    ensure!(error <= TIMES_THE_CPUS * cpus, "float32: gradients are off by {error:.1e}, the CPU's by {cpus:.1e}");

    let (double, single) = (here(DType::F64, Mode::Eval)?, on_device(DType::F32, Precision::Float32, Mode::Eval)?);
    let (error, _) = worst(&single, &double)?;
    say(&format!("float32: a prediction is off by {error:.1e}"));
    ensure!(error <= 1e-5, "float32: a prediction is off by {error:.1e}");

    let mut precisions = vec![Precision::Float32];
    if gpu::find(&device)?.is_some() {
        bfloat16(&run, &device, &truth, say)?;
        precisions.push(Precision::Bf16);
    }
    for precision in precisions {
        let [once, again] = [(); 2].map(|()| on_device(DType::F32, precision, Mode::Train));
        let (once, again) = (once?, again?);
        for (tensor, value) in &once {
            ensure!(same_bits(value, &again[tensor])?, "{}: {tensor} has other bits the second time", precision.name());
        }
        say(&format!("{}: the same bits twice", precision.name()));
    }
    Ok("as the CPU, and the same bits twice".into())
}

/// Training passes small errors on many times over, in PyTorch too: bfloat16 is held to the truth where batch norms are
/// constants.
fn bfloat16(run: &Network, device: &Device, truth: &Outcome, say: Say<'_>) -> Checked<()> {
    let numbers = Numbers::new(device, DType::F32, Precision::Bf16);
    let (half, frozen) = (run(&numbers, Mode::Frozen)?, on_cpu(|n| run(n, Mode::Frozen), DType::F64)?);
    let [output, gradients] = [relative_error(&half["output"], &frozen["output"])?, together(&half, &frozen)?];
    let what = format!("bfloat16: output off by {output:.1e}, gradients by {gradients:.1e}");
    say(&what);
    ensure!(output <= BFLOAT16[0] && gradients <= BFLOAT16[1], "{what}");
    let half = run(&numbers, Mode::Train)?;
    let stem = truth.keys().find(|name| name.ends_with("bn1.running_var") && !name.contains("layer"));
    if let Some(stem) = stem {
        let moved = relative_error(&half[stem], &truth[stem])?;
        ensure!(moved <= BFLOAT16_VARIANCE, "bfloat16: {stem} is off by {moved:.1e}");
    }
    for (name, tensor) in &half {
        let sum = tensor.sqr()?.sum_all()?.to_scalar::<f64>()?;
        ensure!(sum.is_finite(), "bfloat16: {name} is not finite");
    }
    Ok(())
}
