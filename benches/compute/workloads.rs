//! What is measured: the list of workloads, and the line of text that tells a worker of either side which one to do.

use crate::layers;
use crate::shapes::{self, Conv};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt;

/// A workload as both sides read it: `kind key=value key=value …`.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Which step or operation.
    pub(crate) kind: String,
    fields: BTreeMap<String, String>,
}

impl Spec {
    /// Reads the line.
    ///
    /// # Errors
    /// If a word has no `=`.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let kind = words.next().context("an empty workload")?.to_owned();
        let pair = |word: &str| {
            let (key, value) = word.split_once('=').with_context(|| format!("`{word}` is no key=value"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        Ok(Spec { kind, fields: words.map(pair).collect::<Result<_>>()? })
    }

    /// The text of `key`.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) fn text(&self, key: &str) -> Result<&str> {
        Ok(self.fields.get(key).with_context(|| format!("`{}` has no {key}", self.kind))?)
    }

    /// The whole number of `key`.
    ///
    /// # Errors
    /// If it is not there or no number.
    pub(crate) fn number(&self, key: &str) -> Result<usize> {
        self.text(key)?.parse().with_context(|| format!("{key} of `{}`", self.kind))
    }

    /// The decimal number of `key`.
    ///
    /// # Errors
    /// If it is not there or no number.
    pub(crate) fn decimal(&self, key: &str) -> Result<f64> {
        self.text(key)?.parse().with_context(|| format!("{key} of `{}`", self.kind))
    }

    /// Whole numbers joined by `-`.
    ///
    /// # Errors
    /// If they are not there or no numbers.
    pub(crate) fn numbers(&self, key: &str) -> Result<Vec<usize>> {
        self.text(key)?.split('-').map(|number| number.parse().with_context(|| key.to_owned())).collect()
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        self.fields.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))
    }
}

/// What is to be reached, ours ÷ best PyTorch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Target {
    /// Of the time.
    pub(crate) time: Option<f64>,
    /// Of the peak memory.
    pub(crate) memory: Option<f64>,
}

/// One thing to time.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// What `--only` looks at, and the table's first column.
    pub(crate) name: String,
    /// What the workers are told.
    pub(crate) spec: Spec,
    /// Names of the numbers that a round gives.
    pub(crate) passes: &'static [&'static str],
    /// Operations of each pass, where they are counted.
    pub(crate) operations: Option<Vec<f64>>,
    /// What is to be reached.
    pub(crate) target: Target,
    /// Rounds, unless `--rounds` says otherwise.
    pub(crate) rounds: usize,
    /// A whole step: has worker processes of its own, so that its peak memory is its own.
    pub(crate) whole: bool,
}

impl Workload {
    /// Whether it belongs in the table of layers.
    pub(crate) fn is_layer(&self) -> bool {
        self.spec.kind == "layer"
    }
}

const STEP: &[&str] = &["step"];
const BOTH: &[&str] = &["forward", "backward"];

/// Of a `layer`: with respect to what it computes.
const DIRECTIONS: &[&str] = &["forward", "weight gradient", "input gradient"];

/// The directions of a `layer`, in the order of its times: nobody asks for the gradient of an image.
///
/// # Errors
/// If the workload does not say.
pub(crate) fn directions(spec: &Spec) -> Result<&'static [&'static str]> {
    Ok(if spec.number("dx")? == 1 { DIRECTIONS } else { &DIRECTIONS[..2] })
}

/// All workloads, whole steps first; on a GPU with those that are too large for CPUs.
///
/// # Errors
/// None but mistakes in the list itself.
pub(crate) fn all(on_gpu: bool) -> Result<Vec<Workload>> {
    let mut all = if on_gpu { gpu_steps()? } else { Vec::new() };
    all.extend(steps()?);
    if !on_gpu {
        all.extend(transformer_steps()?);
    }
    all.extend(convolutions()?);
    all.extend(other_operations()?);
    if !on_gpu {
        all.extend(transformers()?);
    }
    all.extend(layers::workloads(on_gpu)?);
    Ok(all)
}

/// The steps of training and inference.
///
/// # Errors
/// None but mistakes in the list itself.
pub(crate) fn steps() -> Result<Vec<Workload>> {
    let target = |time, memory| Target { time: Some(time), memory };
    let unet = "arch=resnet50 width=64 decoder=256-128-64-32-16 classes=5 batch=4 size=256 lr=1e-4 wd=1e-5";
    let matssl = "hidden=2048 output=128 tau=0.07 momentum=0.9 wd=1e-6";
    [
        (
            "matssl",
            format!("matssl arch=resnet50 width=64 batch=8 size=256 gate=code lr=0.1 {matssl}"),
            target(0.8, Some(0.5)),
            7,
        ),
        ("unet++", format!("unet++ {unet}"), target(0.8, Some(0.5)), 7),
        ("unet++-inference", format!("unet++-inference {unet}"), target(0.7, None), 9),
        (
            "resnet18-64",
            "encoder arch=resnet18 width=64 batch=32 size=64 lr=0.1 momentum=0.9 wd=0".into(),
            target(0.5, None),
            21,
        ),
        // The sizes of experiments/quickstart.toml.
        (
            "quickstart-matssl",
            format!("matssl arch=resnet18 width=16 batch=64 size=64 gate=paper lr=0.05 {matssl}"),
            Target::default(),
            21,
        ),
        (
            "quickstart-unet++",
            "unet++ arch=resnet18 width=16 decoder=64-48-32-16-16 classes=4 batch=6 size=128 lr=2e-3 wd=1e-5".into(),
            Target::default(),
            21,
        ),
    ]
    .into_iter()
    .map(|(name, spec, target, rounds)| step(name.into(), &spec, target, rounds))
    .collect()
}

/// Steps of the networks with a decoder of windows.
fn transformer_steps() -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    for (name, arch, rounds) in [("swin-unet", "swin-tiny", 7), ("cs-unet", "resnet50", 5)] {
        let sizes = "depths=2-2-6-2 window=8 classes=5 batch=4 size=256";
        let sizes = format!("network={name} arch={arch} width=64 {sizes} lr=1e-4 wd=1e-5");
        for (kind, ending) in [("swin-step", ""), ("swin-inference", "-inference")] {
            let (spec, target) =
                (Spec::parse(&format!("{kind} {sizes}"))?, Target { time: Some(0.8), memory: Some(0.6) });
            let name = format!("{name}{ending}");
            all.push(Workload { name, spec, passes: STEP, operations: None, target, rounds, whole: true });
        }
    }
    Ok(all)
}

/// The least shows whether the GPU waits for the CPU, and how the memory grows.
const GPU_BATCHES: [usize; 4] = [8, 32, 64, 128];

/// The paper's networks at the batches that GPUs are given.
fn gpu_steps() -> Result<Vec<Workload>> {
    let unet = |batch| {
        format!("arch=resnet50 width=64 decoder=256-128-64-32-16 classes=5 batch={batch} size=256 lr=1e-4 wd=1e-5")
    };
    let target = |time| Target { time: Some(time), memory: Some(0.7) };
    let mut all = Vec::new();
    for batch in GPU_BATCHES {
        let sizes = format!("arch=resnet50 width=64 batch={batch} size=256");
        let spec = format!("matssl {sizes} gate=code lr=0.1 hidden=2048 output=128 tau=0.07 momentum=0.9 wd=1e-6");
        all.push(step(format!("gpu/matssl/{batch}"), &spec, target(1.0), 10)?);
    }
    for batch in GPU_BATCHES {
        all.push(step(format!("gpu/unet++/{batch}"), &format!("unet++ {}", unet(batch)), target(1.0), 10)?);
    }
    let spec = format!("unet++-forward {}", unet(64));
    all.push(step("gpu/unet++-inference/64".into(), &spec, target(0.8), 10)?);
    let spec = format!("unet++-inference {}", unet(64));
    all.push(step("gpu/unet++-prediction/64".into(), &spec, Target::default(), 10)?);
    Ok(all)
}

fn step(name: String, spec: &str, target: Target, rounds: usize) -> Result<Workload> {
    let spec = Spec::parse(spec)?;
    let operations = Some(vec![shapes::step(&spec)?.operations]);
    Ok(Workload { name, spec, passes: STEP, operations, target, rounds, whole: true })
}

fn operation(name: String, spec: &str, operations: Option<Vec<f64>>) -> Result<Workload> {
    let (spec, target) = (Spec::parse(spec)?, Target::default());
    Ok(Workload { name, spec, passes: BOTH, operations, target, rounds: 7, whole: false })
}

/// The layers that are timed one by one, with their batch: all distinct ones of ResNet-50 at 256², those of U-Net++'s
/// decoder on it that take 3 % or more of the decoder's operations, with the 32→16 at 256²; and ResNet-18's at 64².
pub(crate) fn layers() -> Vec<(&'static str, usize, Conv)> {
    let distinct = |convs: Vec<Conv>| {
        let mut seen: Vec<Conv> = Vec::new();
        for conv in convs {
            if !seen.contains(&conv) {
                seen.push(conv);
            }
        }
        seen
    };
    let encoder = shapes::ResNet::new(true, [3, 4, 6, 3], 64, 256);
    let decoder = shapes::decoder(&encoder, &[256, 128, 64, 32, 16], 256);
    let total: f64 = decoder.iter().map(|conv| conv.operations(1)).sum();
    let heavy = |conv: &Conv| conv.operations(1) > 0.03 * total || conv.channels == [32, 16];
    let small = shapes::ResNet::new(false, [2, 2, 2, 2], 64, 64);
    let encoder = distinct(encoder.convs).into_iter().map(|conv| ("resnet50", 8, conv));
    let decoder = distinct(decoder).into_iter().filter(heavy).map(|conv| ("decoder", 4, conv));
    let small = distinct(small.convs).into_iter().map(|conv| ("resnet18", 32, conv));
    encoder.chain(decoder).chain(small).collect()
}

fn convolutions() -> Result<Vec<Workload>> {
    let each = layers().into_iter().map(|(network, batch, conv)| {
        let Conv { kernel, stride, channels: [from, to], size } = conv;
        // Nobody asks for the gradient of the image.
        let wants = u8::from(from > 3);
        let spec =
            format!("conv batch={batch} size={size} in={from} out={to} kernel={kernel} stride={stride} dx={wants}");
        let forward = conv.operations(batch);
        let operations = Some(vec![forward, forward * f64::from(1 + wants)]);
        operation(format!("conv/{network}/{conv}"), &spec, operations)
    });
    each.collect()
}

fn other_operations() -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    for (size, channels) in [(128, 64), (64, 256), (32, 512), (16, 1024)] {
        for (residual, word) in [(0, "relu"), (1, "add-relu")] {
            let spec = format!("batch-norm batch=8 size={size} channels={channels} residual={residual}");
            all.push(operation(format!("batch-norm/{word}/{channels}@{size}²"), &spec, None)?);
        }
    }
    all.push(operation("max-pool/3×3/2/64@128²".into(), "max-pool batch=8 size=128 channels=64", None)?);
    // x_0_0, x_1_2 and x_0_3 of U-Net++ on a ResNet-50.
    for (size, from, skips) in [(8, 2048, "1024"), (32, 512, "256-256"), (64, 64, "64-64-64-64")] {
        let name = format!("upsample-concat/{from}+{}@{}²", skips.replace('-', "+"), 2 * size);
        all.push(operation(name, &format!("upsample-concat batch=4 size={size} channels={from} skips={skips}"), None)?);
    }
    for (size, channels) in [(64, 256), (8, 2048)] {
        let name = format!("global-average-pool/{channels}@{size}²");
        all.push(operation(name, &format!("global-average-pool batch=8 size={size} channels={channels}"), None)?);
    }
    Ok(all)
}

/// Operations of Swin-T at 256² and of DINOv2 ViT-S/14 at 518², with a block of Swin for each stage.
fn transformers() -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    let mut add = |name: String, spec: String, operations: Option<f64>| -> Result<()> {
        all.push(operation(name, &spec, operations.map(|forward| vec![forward, 2.0 * forward]))?);
        Ok(())
    };
    for stage in 0..4 {
        let (size, channels, heads) = (64 >> stage, 96 << stage, 3 << stage);
        let grid = format!("batch=4 size={size} channels={channels}");
        for shift in [0, 4].into_iter().take(if size > 8 { 2 } else { 1 }) {
            let shifted = if shift > 0 { "/shifted" } else { "" };
            let spec = format!("{grid} heads={heads} window=8 shift={shift}");
            let products = 4.0 * (4 * size * size * 64 * channels) as f64;
            add(
                format!("window-attention/{channels}@{size}²{shifted}"),
                format!("window-attention {spec}"),
                Some(products),
            )?;
            if shift > 0 || size == 8 {
                add(format!("swin-block/{channels}@{size}²{shifted}"), format!("swin-block {spec}"), None)?;
            }
        }
        add(format!("layer-norm/{channels}@{size}²"), format!("layer-norm {grid}"), None)?;
        let hidden = 4 * channels;
        add(format!("gelu/{hidden}@{size}²"), format!("gelu batch=4 size={size} channels={hidden}"), None)?;
        for [from, to] in [[1, 3], [1, 1], [1, 4], [4, 1]].map(|pair| pair.map(|times| times * channels)) {
            let spec = format!("linear batch=4 size={size} channels={from} out={to}");
            let products = 2.0 * (4 * size * size * from * to) as f64;
            add(format!("linear/{from}→{to}@{size}²"), spec, Some(products))?;
        }
    }
    for tokens in [257, 1370] {
        let products = 4.0 * (4 * tokens * tokens * 384) as f64;
        let spec = format!("attention batch=4 tokens={tokens} channels=384 heads=6");
        add(format!("attention/6×64/{tokens}"), spec, Some(products))?;
    }
    Ok(all)
}
