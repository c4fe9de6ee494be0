//! How far outputs and gradients are from the float64 truth, ours beside PyTorch's: `--errors`.
//!
//! Each side has weights and images of its own, anew in every round, and is its own truth in float64; batch norms are
//! constants with random statistics, for in training mode deep networks pass every error on. Two medians are compared.

use crate::Arguments;
use crate::ours::{Place, Step, images, resnet, segmentation};
use crate::table::{median, or_dash};
use crate::workers::{Pytorch, Side, Worker};
use crate::workloads::Spec;
use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use matssl_run::nn::{Encoder, Gradients, Mode, Parameters, SegmentationNetwork, Tape, Value};
use matssl_run::random::Stream;

/// What is compared: a name, and what the workers are told.
const NETWORKS: [(&str, &str); 2] = [
    ("ResNet-50", "accuracy arch=resnet50 width=64 batch=8 size=64"),
    ("U-Net++", "accuracy-unet++ arch=resnet18 width=64 decoder=256-128-64-32-16 classes=5 batch=4 size=64"),
];
/// Names of what a round gives.
const WHAT: [&str; 2] = ["output", "gradients"];
/// Ours to PyTorch's.
const MOST: f64 = 2.0;
const ROUNDS: usize = 5;

/// Prints the table, a network's rows as soon as they are known; the same as lines of words separated by tabs in the file
/// that `--verdicts` names. A network that fails on one side has no figures, and the next one follows.
///
/// # Errors
/// If the file cannot be written; at the end, if a worker failed.
pub(crate) fn print(pytorch: Option<&Pytorch>, arguments: &Arguments) -> Result<()> {
    let (mut verdicts, mut failed) = (String::new(), None);
    println!("| error in {} | ours | PyTorch | ours ÷ PyTorch's | to reach |", arguments.setting.precision.name());
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (name, spec) in NETWORKS {
        let errors = |side| errors(side, spec, pytorch, arguments);
        let found = errors(Side::Ours)
            .and_then(|ours| Ok((ours, pytorch.map(|_| errors(Side::PytorchChannelsLast)).transpose()?)));
        match found {
            Ok((ours, theirs)) => verdicts += &rows(name, ours, theirs),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                verdicts += &format!("{name}\terrors\tfailed\t≤ {MOST}\tmissed\n");
                failed = Some(error);
            }
        }
        if let Some(path) = &arguments.verdicts {
            std::fs::write(path, &verdicts)?;
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Median errors of one side: of the output and of the gradients.
fn errors(side: Side, spec: &str, pytorch: Option<&Pytorch>, arguments: &Arguments) -> Result<[f64; 2]> {
    let mut worker = Worker::start(side, pytorch, arguments.threads, &arguments.setting)?;
    worker.set(&Spec::parse(spec)?)?;
    let rounds: Vec<Vec<f64>> =
        (0..arguments.rounds.unwrap_or(ROUNDS)).map(|_| Ok(worker.go()?.0)).collect::<Result<_>>()?;
    let of = |what: usize| median(&rounds.iter().map(|round| round[what]).collect::<Vec<_>>());
    Ok([of(0), of(1)])
}

/// Prints the rows of one network; the same for programs.
fn rows(name: &str, ours: [f64; 2], theirs: Option<[f64; 2]>) -> String {
    let mut verdicts = String::new();
    for (index, what) in WHAT.into_iter().enumerate() {
        let (ours, theirs) = (ours[index], theirs.map(|theirs| theirs[index]));
        let ratio = theirs.map(|theirs| ours / theirs);
        let verdict = match ratio {
            Some(ratio) if ratio <= MOST => "met",
            Some(_) => "missed",
            None => "–",
        };
        let error = |value: Option<f64>| or_dash(value, |value| format!("{value:.1e}"));
        let (ours, theirs) = (error(Some(ours)), error(theirs));
        let ratio = or_dash(ratio, |ratio| format!("{ratio:.2}"));
        println!("| {name}, {what} | {ours} | {theirs} | {ratio} | ≤ {MOST}: {verdict} |");
        verdicts += &format!("{name}\t{what}, {ours} to {theirs}\t{ratio}\t≤ {MOST}\t{verdict}\n");
    }
    verdicts
}

/// A network, and what is taken as its output.
enum Network {
    Encoder(Encoder),
    Segmentation(SegmentationNetwork),
}

impl Network {
    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        match self {
            Network::Encoder(network) => network.init(parameters, "", stream)?,
            Network::Segmentation(network) => network.init(parameters, stream)?,
        }
        Ok(())
    }

    /// The pooled features side by side, or the logits.
    fn forward(&self, tape: &Tape<'_>, x: &Value) -> candle_core::Result<Value> {
        match self {
            Network::Encoder(network) => {
                let features = network.features(tape, "", x)?;
                let pooled =
                    features.iter().map(|stage| tape.global_average_pool(stage)).collect::<Result<Vec<_>, _>>()?;
                tape.concat(&pooled.iter().collect::<Vec<_>>())
            }
            Network::Segmentation(network) => network.forward(tape, x),
        }
    }
}

/// A round: relative errors of output and gradients.
pub(crate) fn step(place: &Place, spec: &Spec) -> Result<Step> {
    let network = match spec.kind.as_str() {
        "accuracy" => Network::Encoder(Encoder::new(resnet(spec)?)),
        _ => Network::Segmentation(segmentation(spec)?),
    };
    let (place, spec, mut draw) = (place.clone(), spec.clone(), 0);
    Ok(Box::new(move || {
        draw += 1;
        let stream = Stream::new(draw, "bench accuracy", 0, 0);
        let mut exact = Parameters::new(DType::F64, place.device());
        network.init(&mut exact, &stream)?;
        let mut rounded = place.parameters();
        for (index, (name, parameter)) in exact.iter().enumerate() {
            let mut stream = stream.child(index as u64);
            let var = &parameter.var;
            let spread = match name {
                _ if name.ends_with("running_mean") => Some((0.0, 0.1)),
                _ if name.ends_with("running_var") || var.rank() == 1 && name.ends_with("weight") => Some((1.0, 0.3)),
                _ => None,
            };
            if let Some((offset, scale)) = spread {
                let values: Vec<f64> =
                    (0..var.elem_count()).map(|_| offset + scale * stream.range(-1.0, 1.0)).collect();
                var.set(&place.bring(&Tensor::from_vec(values, var.dims(), &Device::Cpu)?)?)?;
            }
            let tensor = var.as_detached_tensor();
            let tensor = if tensor.dtype().is_float() { tensor.to_dtype(DType::F32)? } else { tensor };
            rounded.insert(name, tensor, parameter.role)?;
        }
        let x = images(&place, &spec, draw)?;
        let (truth, seed) = pass(&network, &exact, &x, None)?;
        let (found, _) = pass(&network, &rounded, &x, Some(&seed))?;
        let error = |names: &[String]| -> Result<f64> {
            let (mut difference, mut whole) = (0.0, 0.0);
            for name in names {
                difference += square_sum(&(&found[name] - &truth[name])?)?;
                whole += square_sum(&truth[name])?;
            }
            Ok((difference / whole).sqrt())
        };
        let gradients: Vec<String> = truth.keys().filter(|name| *name != OUTPUT).cloned().collect();
        Ok(vec![error(&[OUTPUT.to_owned()])?, error(&gradients)?])
    }))
}

/// Among the tensors of a pass.
const OUTPUT: &str = "the output";

/// Output and gradients in float64 on the CPU, and the output itself; the seed is the truth's output.
fn pass(
    network: &Network,
    parameters: &Parameters,
    x: &Tensor,
    seed: Option<&Tensor>,
) -> Result<(indexmap::IndexMap<String, Tensor>, Tensor)> {
    let tape = Tape::new(parameters, Mode::Frozen);
    let y = network.forward(&tape, &tape.input(x)?)?;
    let output = y.tensor().clone();
    let seed = seed.unwrap_or(&output).to_dtype(output.dtype())?;
    let gradients: Gradients = tape.backward(vec![(y, seed)])?;
    let double = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_device(&Device::Cpu);
    let mut all = indexmap::IndexMap::from([(OUTPUT.to_owned(), double(&output)?)]);
    for (name, gradient) in gradients.iter() {
        all.insert(name.to_owned(), double(gradient)?);
    }
    Ok((all, output))
}

fn square_sum(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.sqr()?.sum_all()?.to_scalar()?)
}
