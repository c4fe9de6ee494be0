//! Our side: a worker that does each workload as the stages of an experiment do it.

use crate::accuracy;
use crate::estimate;
use crate::setting::Setting;
use crate::swin;
use crate::transformer;
use crate::workers::OUT_OF_MEMORY;
use crate::workloads::{Spec, directions};
use anyhow::{Context, Error, Result, bail};
use candle_core::{DType, Device, Tensor};
use matssl_run::data::Micrograph;
use matssl_run::nn::losses::dice;
use matssl_run::nn::ops::conv2d::{self, After, Joined, Wanted};
use matssl_run::nn::ops::{Conv2d, MaxPool};
use matssl_run::nn::{
    Architecture, Encoder, EncoderConfig, Gradients, Mode, OpenDevice, Parameters, Precision, Role, SegmentationConfig,
    SegmentationNetwork, Tape, Value, init,
};
use matssl_run::random::Stream;
use matssl_run::ssl::{ENCODER, MethodSpec, Moment, Online, SslMethod};
use matssl_run::train::optimizer::Optimizer;
use matssl_run::train::{OptimizerSpec, inference};
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

/// Does a workload once; the seconds of each pass.
pub(crate) type Step = Box<dyn FnMut() -> Result<Vec<f64>>>;

/// Seconds that the calls of one direction of a [`layer`] take together, about.
const LAYER_SECONDS: f64 = 0.02;

/// What this worker computes on.
#[derive(Clone)]
pub(crate) struct Place {
    device: OpenDevice,
    precision: Precision,
}

impl Place {
    /// A store without parameters.
    pub(crate) fn parameters(&self) -> Parameters {
        Parameters::new(DType::F32, self.device.candle()).with_precision(self.precision)
    }

    /// `tensor` on the device.
    pub(crate) fn bring(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor.to_device(self.device.candle())?)
    }

    /// As candle knows it.
    pub(crate) fn device(&self) -> &Device {
        self.device.candle()
    }

    /// Waits for what a GPU still has to do.
    fn finish(&self) -> Result<()> {
        Ok(self.device.candle().synchronize()?)
    }

    /// Memory that the work took at most: the GPU's, or else the process's.
    fn peak_kib(&self) -> Result<String> {
        match self.device.peak_memory() {
            Some(bytes) => Ok((bytes >> 10).to_string()),
            None => resident_peak_kib(),
        }
    }
}

/// Serves the protocol of `workers.rs` until `end`, or until nobody listens any more.
///
/// # Errors
/// If the device cannot be used, or a workload fails for another reason than the GPU's memory.
pub(crate) fn work(setting: &Setting) -> Result<()> {
    // As a stage's worker; RAYON_NUM_THREADS says how many.
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global()?;
    let place = Place { device: setting.open()?, precision: setting.precision };
    let mut step: Option<Step> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match word {
            "device" => Ok(place.device.describe()),
            "set" => {
                // What the one before held is free before the next is made.
                drop(step.take());
                Spec::parse(rest).and_then(|spec| prepare(&place, &spec)).map(|made| {
                    step = Some(made);
                    "ready".to_owned()
                })
            }
            "go" => step
                .as_mut()
                .context("`go` before `set`")
                .and_then(|step| step())
                .map(|seconds| seconds.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")),
            "estimate" => Spec::parse(rest).and_then(|spec| estimate::answer(&place, &spec)),
            "end" => place.peak_kib(),
            _ => bail!("`{line}` is no word of the protocol"),
        };
        let answer = match answer {
            Err(error) if is_out_of_memory(&error) => {
                eprintln!("{error:#}");
                drop(step.take());
                OUT_OF_MEMORY.to_owned()
            }
            answer => answer?,
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
        if word == "end" {
            break;
        }
    }
    Ok(())
}

fn is_out_of_memory(error: &Error) -> bool {
    matssl_run::nn::device::is_out_of_memory(&format!("{error:#}"))
}

fn resident_peak_kib() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("no number in VmHWM")?.to_owned())
}

fn prepare(place: &Place, spec: &Spec) -> Result<Step> {
    match spec.kind.as_str() {
        "matssl" => matssl(place, spec),
        "unet++" => unet(place, spec),
        "unet++-inference" => unet_inference(place, spec),
        "unet++-forward" => unet_forward(place, spec),
        "encoder" => encoder(place, spec),
        "accuracy" | "accuracy-unet++" => accuracy::step(place, spec),
        "conv" => conv(place, spec),
        "layer" => layer(place, spec),
        "batch-norm" => batch_norm(place, spec),
        "max-pool" => max_pool(place, spec),
        "upsample-concat" => upsample_concat(place, spec),
        "global-average-pool" => global_average_pool(place, spec),
        "swin-step" | "swin-inference" => swin::step(place, spec),
        _ => transformer::step(place, spec),
    }
}

/// Normal numbers.
pub(crate) fn normal(place: &Place, shape: &[usize], index: u64) -> Result<Tensor> {
    let mut stream = Stream::new(0, "bench", 0, index);
    // A cycle of 2²⁰ is as good as more, and takes no minute to draw.
    let drawn: Vec<f32> = (0..1 << 20).map(|_| stream.normal() as f32).collect();
    let values = drawn.iter().copied().cycle().take(shape.iter().product()).collect::<Vec<_>>();
    place.bring(&Tensor::from_vec(values, shape, &Device::Cpu)?)
}

pub(crate) fn images(place: &Place, spec: &Spec, index: u64) -> Result<Tensor> {
    let size = spec.number("size")?;
    normal(place, &[spec.number("batch")?, size, size, 3], index)
}

pub(crate) fn stream() -> Stream {
    Stream::new(0, "bench weights", 0, 0)
}

pub(crate) fn resnet(spec: &Spec) -> Result<EncoderConfig> {
    let config = serde_json::json!({ "arch": spec.text("arch")?, "width": spec.number("width")? });
    Ok(serde_json::from_value(config)?)
}

pub(crate) fn segmentation(spec: &Spec) -> Result<SegmentationNetwork> {
    let decoder_channels = spec.numbers("decoder")?;
    let decoder_channels = decoder_channels.try_into().ok().context("five channels of the decoder")?;
    let classes = spec.number("classes")?;
    let architecture = Architecture::UnetPlusPlus;
    let encoder = resnet(spec)?;
    let (decoder_channels, transformer) = (Some(decoder_channels), None);
    let config = SegmentationConfig { architecture, encoder, decoder_channels, transformer, classes };
    Ok(SegmentationNetwork::new(config))
}

pub(crate) fn unet_plus_plus(place: &Place, spec: &Spec) -> Result<(SegmentationNetwork, Parameters)> {
    let network = segmentation(spec)?;
    let mut parameters = place.parameters();
    network.init(&mut parameters, &stream())?;
    Ok((network, parameters))
}

/// SGD where the workload names a momentum, else Adam.
pub(crate) fn optimizer(spec: &Spec) -> Result<OptimizerSpec> {
    let (learning_rate, weight_decay) = (spec.decimal("lr")?, spec.decimal("wd")?);
    Ok(match spec.decimal("momentum") {
        Ok(momentum) => OptimizerSpec::sgd(learning_rate, momentum, weight_decay),
        Err(_) => OptimizerSpec::adam(learning_rate, weight_decay),
    })
}

/// A whole step of training: `gradients` gives loss and gradients, the optimiser moves the parameters.
fn training<F>(place: &Place, spec: &Spec, parameters: Parameters, mut gradients: F) -> Result<Step>
where
    F: FnMut(&Parameters) -> Result<(f64, Gradients)> + 'static,
{
    let learning_rate = spec.decimal("lr")?;
    let (mut optimizer, place) = (Optimizer::new(optimizer(spec)?), place.clone());
    Ok(Box::new(move || {
        let start = Instant::now();
        let (loss, gradients) = gradients(&parameters)?;
        optimizer.step(&parameters, &gradients, learning_rate, 1.0)?;
        drop(gradients);
        black_box(loss);
        place.finish()?;
        Ok(vec![start.elapsed().as_secs_f64()])
    }))
}

/// Encoder and method, and the parameters of both.
pub(crate) fn matssl_method(place: &Place, spec: &Spec) -> Result<(Encoder, Box<dyn SslMethod>, Parameters)> {
    let encoder = Encoder::new(resnet(spec)?);
    let mut parameters = place.parameters();
    encoder.init(&mut parameters, ENCODER, &stream())?;
    let head = serde_json::json!({ "hidden": spec.number("hidden")?, "output": spec.number("output")? });
    let method = serde_json::json!({
        "name": "matssl", "gate": spec.text("gate")?, "temperature": spec.decimal("tau")?, "head": head,
    });
    let method: MethodSpec = serde_json::from_value(method)?;
    let method = method.build(&encoder, &mut parameters, &stream().child(1))?;
    Ok((encoder, method, parameters))
}

fn matssl(place: &Place, spec: &Spec) -> Result<Step> {
    let (encoder, method, parameters) = matssl_method(place, spec)?;
    let views = [images(place, spec, 0)?, images(place, spec, 1)?];
    training(place, spec, parameters, move |parameters| {
        let mut online = Online::new(&encoder, parameters);
        let made = method.loss(&mut online, &views, Moment { step: 0, steps: 1, seed: 0 })?;
        let loss = made.loss.to_dtype(DType::F64)?.to_scalar()?;
        Ok((loss, online.backward(&made.loss)?))
    })
}

fn unet(place: &Place, spec: &Spec) -> Result<Step> {
    let (network, parameters) = unet_plus_plus(place, spec)?;
    segmentation_step(place, spec, network, parameters, images(place, spec, 0)?)
}

/// A step of a segmentation network with the Dice loss.
pub(crate) fn segmentation_step(
    place: &Place,
    spec: &Spec,
    network: SegmentationNetwork,
    parameters: Parameters,
    x: Tensor,
) -> Result<Step> {
    let mut stream = Stream::new(0, "bench labels", 0, 0);
    let (batch, size, classes) = (spec.number("batch")?, spec.number("size")?, spec.number("classes")?);
    let labels: Vec<u8> = (0..batch * size * size).map(|_| stream.below(classes as u64) as u8).collect();
    let labels = Tensor::from_vec(labels, (batch, size, size), &Device::Cpu)?;
    training(place, spec, parameters, move |parameters| {
        let tape = Tape::new(parameters, Mode::Train);
        let logits = network.forward(&tape, &tape.input(&x)?)?;
        let made = dice(logits.tensor(), &labels, None)?;
        Ok((made.loss, tape.backward(vec![(logits, made.gradient)])?))
    })
}

fn unet_inference(place: &Place, spec: &Spec) -> Result<Step> {
    let (network, parameters) = unet_plus_plus(place, spec)?;
    tiles_step(spec, network, parameters)
}

/// An image that is `batch` tiles, through the function that evaluation calls.
pub(crate) fn tiles_step(spec: &Spec, network: SegmentationNetwork, parameters: Parameters) -> Result<Step> {
    let (batch, size) = (spec.number("batch")?, spec.number("size")?);
    let mut stream = Stream::new(0, "bench image", 0, 0);
    let pixels = (0..batch * size * size).map(|_| stream.next_u32() as u8).collect();
    let image = Micrograph { width: size, height: batch * size, channels: 1, pixels };
    Ok(Box::new(move || {
        let start = Instant::now();
        black_box(inference::predict(&network, &parameters, &image, size, 0.0)?);
        Ok(vec![start.elapsed().as_secs_f64()])
    }))
}

/// The network alone: images and logits stay on the device.
fn unet_forward(place: &Place, spec: &Spec) -> Result<Step> {
    let (network, parameters) = unet_plus_plus(place, spec)?;
    let (x, place) = (images(place, spec, 0)?, place.clone());
    Ok(Box::new(move || {
        let start = Instant::now();
        let tape = Tape::new(&parameters, Mode::Eval);
        drop(black_box(network.forward(&tape, &tape.input(&x)?)?));
        place.finish()?;
        Ok(vec![start.elapsed().as_secs_f64()])
    }))
}

/// A ResNet alone; the loss is the mean square of the pooled last stage.
fn encoder(place: &Place, spec: &Spec) -> Result<Step> {
    let encoder = Encoder::new(resnet(spec)?);
    let mut parameters = place.parameters();
    encoder.init(&mut parameters, ENCODER, &stream())?;
    let x = images(place, spec, 0)?;
    training(place, spec, parameters, move |parameters| {
        let tape = Tape::new(parameters, Mode::Train);
        let [.., last] = encoder.features(&tape, ENCODER, &tape.input(&x)?)?;
        let pooled = tape.global_average_pool(&last)?;
        let loss = pooled.tensor().to_dtype(DType::F32)?.sqr()?.mean_all()?.to_scalar::<f32>()?;
        let seed = (pooled.tensor() * (2.0 / pooled.tensor().elem_count() as f64))?;
        Ok((f64::from(loss), tape.backward(vec![(pooled, seed)])?))
    })
}

/// Forward and backward of one operation, each per call.
pub(crate) fn operation<F>(place: &Place, parameters: Parameters, forward: F) -> Result<Step>
where
    F: Fn(&Tape<'_>) -> candle_core::Result<Value> + 'static,
{
    let shape = forward(&Tape::new(&parameters, Mode::Train))?.tensor().dims().to_vec();
    let seed = normal(place, &shape, 99)?.to_dtype(parameters.activations())?;
    let place = place.clone();
    place.finish()?;
    let once = move || -> Result<[f64; 2]> {
        let start = Instant::now();
        let tape = Tape::new(&parameters, Mode::Train);
        let y = forward(&tape)?;
        place.finish()?;
        let middle = Instant::now();
        let seeds = vec![(y, seed.clone())];
        drop(black_box(tape.backward(seeds)?));
        place.finish()?;
        Ok([(middle - start).as_secs_f64(), middle.elapsed().as_secs_f64()])
    };
    once()?;
    let calls = (0.2 / once()?.iter().sum::<f64>()).round().clamp(1.0, 200.0);
    Ok(Box::new(move || {
        let mut sums = vec![0.0; 2];
        for _ in 0..calls as usize {
            sums.iter_mut().zip(once()?).for_each(|(sum, seconds)| *sum += seconds / calls);
        }
        Ok(sums)
    }))
}

/// In the type of activations.
fn maps(place: &Place, spec: &Spec, channels: usize, scale: usize, index: u64) -> Result<Tensor> {
    let size = scale * spec.number("size")?;
    let maps = normal(place, &[spec.number("batch")?, size, size, channels], index)?;
    Ok(maps.to_dtype(place.parameters().activations())?)
}

fn conv(place: &Place, spec: &Spec) -> Result<Step> {
    let (from, to, kernel) = (spec.number("in")?, spec.number("out")?, spec.number("kernel")?);
    let (x, wants_dx) = (maps(place, spec, from, 1, 0)?, spec.number("dx")? == 1);
    let mut parameters = place.parameters();
    parameters.insert("w", (normal(place, &[kernel, kernel, from, to], 1)? * 0.02)?, Role::ConvWeight)?;
    let options = Conv2d::new(spec.number("stride")?, kernel / 2);
    operation(place, parameters, move |tape| {
        let x = if wants_dx { tape.variable("x", x.clone()) } else { tape.constant(x.clone()) };
        tape.conv2d(&x, "w", None, options)
    })
}

/// A convolution, direction by direction, each called `calls` times before the GPU is waited for: else small ones would
/// cost what starting them costs.
fn layer(place: &Place, spec: &Spec) -> Result<Step> {
    let (from, to, kernel) = (spec.number("in")?, spec.number("out")?, spec.number("kernel")?);
    let (batch, size) = (spec.number("batch")?, spec.number("size")?);
    // One image for all of the batch: drawing 2³⁰ numbers would take longer than what is timed.
    let image = normal(place, &[1, size, size, from], 0)?.to_dtype(place.parameters().activations())?;
    let x = [Joined { tensor: image.broadcast_as((batch, size, size, from))?.contiguous()?, doubled: false }];
    let weight = (normal(place, &[kernel, kernel, from, to], 1)? * 0.02)?;
    let options = Conv2d::new(spec.number("stride")?, kernel / 2);
    let seed = conv2d::forward(&x, &weight, After::default(), options)?;
    let back = |input: bool| Wanted { inputs: vec![input], weight: !input, bias: false };
    let place = place.clone();
    let once = move |direction: &str| -> Result<()> {
        match direction {
            "forward" => drop(black_box(conv2d::forward(&x, &weight, After::default(), options)?)),
            direction => {
                let wanted = back(direction == "input gradient");
                drop(black_box(conv2d::backward(&x, &weight, &seed, options, &wanted)?));
            }
        }
        Ok(())
    };
    let timed = move |direction: &str, calls: usize| -> Result<f64> {
        let start = Instant::now();
        for _ in 0..calls {
            once(direction)?;
        }
        place.finish()?;
        Ok(start.elapsed().as_secs_f64() / calls as f64)
    };
    let mut all = Vec::new();
    for &direction in directions(spec)? {
        timed(direction, 1)?;
        all.push((direction, (LAYER_SECONDS / timed(direction, 2)?).round().clamp(1.0, 200.0) as usize));
    }
    Ok(Box::new(move || all.iter().map(|(direction, calls)| timed(direction, *calls)).collect()))
}

fn batch_norm(place: &Place, spec: &Spec) -> Result<Step> {
    let channels = spec.number("channels")?;
    let (x, residual) = (maps(place, spec, channels, 1, 0)?, maps(place, spec, channels, 1, 1)?);
    let adds = spec.number("residual")? == 1;
    let mut parameters = place.parameters();
    init::batch_norm(&mut parameters, "bn", channels)?;
    operation(place, parameters, move |tape| {
        let residual = adds.then(|| tape.variable("residual", residual.clone()));
        tape.batch_norm(&tape.variable("x", x.clone()), "bn", residual.as_ref(), true)
    })
}

fn max_pool(place: &Place, spec: &Spec) -> Result<Step> {
    let x = maps(place, spec, spec.number("channels")?, 1, 0)?;
    let options = MaxPool { kernel: 3, stride: 2, padding: 1, ceil_mode: false };
    let parameters = place.parameters();
    operation(place, parameters, move |tape| tape.max_pool(&tape.variable("x", x.clone()), options))
}

fn upsample_concat(place: &Place, spec: &Spec) -> Result<Step> {
    let x = maps(place, spec, spec.number("channels")?, 1, 0)?;
    let skips =
        spec.numbers("skips")?.into_iter().zip(1..).map(|(channels, index)| maps(place, spec, channels, 2, index));
    let skips = skips.collect::<Result<Vec<_>>>()?;
    operation(place, place.parameters(), move |tape| {
        let mut parts = vec![tape.upsample_nearest(&tape.variable("x", x.clone()))?];
        parts.extend(skips.iter().enumerate().map(|(i, skip)| tape.variable(&format!("skip{i}"), skip.clone())));
        tape.concat(&parts.iter().collect::<Vec<_>>())
    })
}

fn global_average_pool(place: &Place, spec: &Spec) -> Result<Step> {
    let x = maps(place, spec, spec.number("channels")?, 1, 0)?;
    let parameters = place.parameters();
    operation(place, parameters, move |tape| tape.global_average_pool(&tape.variable("x", x.clone())))
}
