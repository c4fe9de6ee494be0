//! Trains a small network on the CPU to tell horizontal from vertical stripes in noisy images, and prints its loss and accuracy.
//!
//! `cargo run --release -p matssl-tensor --example stripes`

use candle_core::{DType, Device, Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::init::{self, ConvInit};
use matssl_tensor::ops::Conv2d;
use matssl_tensor::{Gradients, Mode, Parameters, Tape, Value};

const SIZE: usize = 32;
const BATCH: usize = 32;
const STEPS: u64 = 60;
const CHANNELS: [usize; 3] = [1, 16, 32];
const LEARNING_RATE: f64 = 0.05;

fn main() -> Result<()> {
    let parameters = parameters()?;
    for step in 0..STEPS {
        let (images, labels) = batch(step)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let logits = network(&tape, &tape.input(&images)?)?;
        let (loss, seed) = cross_entropy(logits.tensor(), &labels)?;
        descend(&parameters, &tape.backward(vec![(logits, seed)])?)?;
        if step % 10 == 0 || step + 1 == STEPS {
            println!("step {step:2}: loss {loss:.4}");
        }
    }
    // A batch that was not trained on.
    let (images, labels) = batch(STEPS)?;
    let tape = Tape::new(&parameters, Mode::Eval);
    let found = network(&tape, &tape.input(&images)?)?.tensor().argmax(1)?.to_vec1::<u32>()?;
    let right = found.iter().zip(&labels).filter(|(found, label)| found == label).count();
    println!("{right} of {BATCH} new images are classified correctly");
    Ok(())
}

/// The network's parameters, with random weights.
fn parameters() -> Result<Parameters> {
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    let stream = Stream::new(0, "weights", 0, 0);
    for (layer, channels) in CHANNELS.windows(2).enumerate() {
        let shape = [3, channels[0], channels[1]];
        init::conv_weight(&mut parameters, &format!("conv{layer}"), shape, ConvInit::KaimingNormalFanOut, &stream)?;
        init::batch_norm(&mut parameters, &format!("norm{layer}"), channels[1])?;
    }
    init::linear(&mut parameters, "linear", [CHANNELS[2], 2], true, &stream)?;
    Ok(parameters)
}

/// Logits `[batch, 2]` of images `[batch, height, width, 1]`: two convolutions of stride 2 and a linear layer.
fn network(tape: &Tape<'_>, images: &Value) -> Result<Value> {
    let mut features = images.clone();
    for layer in 0..CHANNELS.len() - 1 {
        let names = (&*format!("conv{layer}"), &*format!("norm{layer}"));
        features = tape.conv_norm(&[(&features, false)], names, Conv2d::new(2, 1), None, true)?;
    }
    tape.linear(&tape.global_average_pool(&features)?, "linear.weight", Some("linear.bias"))
}

/// Images `[batch, height, width, 1]` of stripes under noise, and their labels: 0 for horizontal stripes, 1 for vertical ones.
fn batch(index: u64) -> Result<(Tensor, Vec<u32>)> {
    let mut stream = Stream::new(0, "images", 0, index);
    let (mut pixels, mut labels) = (Vec::with_capacity(BATCH * SIZE * SIZE), Vec::with_capacity(BATCH));
    for _ in 0..BATCH {
        let (label, period, phase) = (stream.below(2) as u32, stream.range(5.0, 9.0), stream.range(0.0, 9.0));
        for (y, x) in (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (y, x))) {
            let across = if label == 0 { y } else { x } as f64;
            let stripe = ((across + phase) / period * std::f64::consts::TAU).sin();
            pixels.push((stripe + stream.normal()) as f32);
        }
        labels.push(label);
    }
    Ok((Tensor::from_vec(pixels, (BATCH, SIZE, SIZE, 1), &Device::Cpu)?, labels))
}

/// The mean cross entropy of the softmax of `logits` `[batch, 2]`, and its gradient.
fn cross_entropy(logits: &Tensor, labels: &[u32]) -> Result<(f32, Tensor)> {
    let exponentials = logits.broadcast_sub(&logits.max_keepdim(1)?)?.exp()?;
    let probabilities = exponentials.broadcast_div(&exponentials.sum_keepdim(1)?)?;
    let targets: Vec<f32> = labels.iter().flat_map(|label| [(*label == 0).into(), (*label == 1).into()]).collect();
    let targets = Tensor::from_vec(targets, logits.shape(), &Device::Cpu)?;
    let count = labels.len() as f64;
    let loss = ((&targets * probabilities.log()?)?.sum_all()? * (-1.0 / count))?.to_scalar()?;
    Ok((loss, ((probabilities - targets)? / count)?))
}

/// One step of gradient descent.
fn descend(parameters: &Parameters, gradients: &Gradients) -> Result<()> {
    for (name, parameter) in parameters.trainable() {
        if let Some(gradient) = gradients.get(name) {
            parameter.var.set(&(parameter.var.as_detached_tensor() - (gradient * LEARNING_RATE)?)?)?;
        }
    }
    Ok(())
}
