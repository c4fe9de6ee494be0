//! Checks every operation of training and inference, and thus every kernel, against the CPU.

use super::numbers::{Faults, Numbers, Outcome, first_line, on_cpu, wide, worst};
use super::step::{Say, open};
use crate::nn::losses::{LossGradient, cross_entropy, dice};
use crate::nn::moving_average::follow;
use crate::nn::ops::gpu;
use crate::nn::ops::{Conv2d, MaxPool};
use crate::nn::{DeviceName, Gradients, Mode, Parameters, Precision, Role, init};
use crate::train::norm::gradient_norm;
use crate::train::optimizer::Optimizer;
use anyhow::Result as Checked;
use candle_core::{DType, Device, Error, Result, Tensor};
use serde_json::json;

/// Limits of the relative error. In float32 the limit is at least a multiple of the CPU's error, because sums have
/// another order.
const FLOAT64: f64 = 1e-10;
const FLOAT32: f64 = 4e-6;
const BFLOAT16: f64 = 0.05;
const TIMES_THE_CPUS: f64 = 8.0;

/// Numbers of channels that kernels can and cannot vectorise.
const CHANNELS: [usize; 2] = [16, 5];

type Case = (&'static str, fn(&Numbers<'_>, usize) -> Result<Outcome>);

/// Operations of networks, as functions of the number of channels.
const NETWORK: &[Case] = &[
    ("relu", |n, c| {
        n.pass(&n.parameters(), Mode::Train, |tape, n| tape.relu(&n.variable(tape, "x", &[2, 5, 7, c], 0)?))
    }),
    ("sum", |n, c| {
        n.pass(&n.parameters(), Mode::Train, |tape, n| {
            let (a, b) = (n.variable(tape, "a", &[2, 5, 7, c], 0)?, n.variable(tape, "b", &[2, 5, 7, c], 1)?);
            tape.relu(&tape.sum(&a, &b)?)
        })
    }),
    ("concatenation", |n, c| {
        n.pass(&n.parameters(), Mode::Train, |tape, n| {
            let (a, b) = (n.variable(tape, "a", &[2, 4, 6, c], 0)?, n.variable(tape, "b", &[2, 4, 6, 3], 1)?);
            tape.concat(&[&a, &b, &a])
        })
    }),
    ("nearest upsampling", |n, c| {
        n.pass(&n.parameters(), Mode::Train, |tape, n| {
            tape.upsample_nearest(&n.variable(tape, "x", &[2, 3, 5, c], 0)?)
        })
    }),
    ("bilinear upsampling", |n, c| {
        n.pass(&n.parameters(), Mode::Train, |tape, n| {
            tape.upsample_bilinear(&n.variable(tape, "x", &[2, 3, 5, c], 0)?, c.is_multiple_of(2))
        })
    }),
    ("max pooling", |n, c| {
        let options = MaxPool { kernel: 3, stride: 2, padding: 1, ceil_mode: false };
        n.pass(&n.parameters(), Mode::Train, |tape, n| {
            tape.max_pool(&n.variable(tape, "x", &[2, 9, 8, c], 0)?, options)
        })
    }),
    ("global average pooling", |n, c| {
        n.pass(&n.parameters(), Mode::Train, |tape, n| {
            tape.global_average_pool(&n.variable(tape, "x", &[3, 32, 32, c], 0)?)
        })
    }),
    ("batch norm in training", |n, c| batch_norm(n, c, Mode::Train)),
    ("batch norm with fixed statistics", |n, c| batch_norm(n, c, Mode::Frozen)),
    ("convolution of joined inputs", |n, c| {
        let mut parameters = n.parameters();
        n.add(&mut parameters, "weight", &[3, 3, c + 8, 16], 12.0, 2)?;
        n.add(&mut parameters, "bias", &[16], 1.0, 3)?;
        n.pass(&parameters, Mode::Train, |tape, n| {
            let (a, b) = (n.variable(tape, "a", &[2, 4, 5, c], 0)?, n.variable(tape, "b", &[2, 8, 10, 8], 1)?);
            tape.conv2d_joined(&[(&a, true), (&b, false)], "weight", Some("bias"), Conv2d::new(1, 1))
        })
    }),
    ("convolution with a folded batch norm", |n, c| {
        let mut parameters = n.parameters();
        n.add(&mut parameters, "w", &[1, 1, c, 8], 4.0, 1)?;
        init::batch_norm(&mut parameters, "bn", 8)?;
        n.pass(&parameters, Mode::Eval, |tape, n| {
            let (x, residual) = (n.tensor(&[2, 6, 5, c], 0)?, tape.constant(n.tensor(&[2, 6, 5, 8], 2)?));
            tape.conv_norm(&[(&tape.constant(x), false)], ("w", "bn"), Conv2d::new(1, 0), Some(&residual), true)
        })
    }),
    ("Dice loss", |n, c| loss(n, c, dice)),
    ("cross-entropy", |n, c| loss(n, c, cross_entropy)),
];

/// Operations on parameters and embeddings, which are never bfloat16.
const WIDE: &[Case] = &[
    ("linear layer", |n, c| {
        let mut parameters = n.parameters();
        n.add(&mut parameters, "weight", &[7, c], 2.0, 1)?;
        n.add(&mut parameters, "bias", &[7], 1.0, 2)?;
        n.pass(&parameters, Mode::Train, |tape, n| {
            tape.linear(&n.variable(tape, "x", &[33, c], 0)?, "weight", Some("bias"))
        })
    }),
    ("SGD", |n, _| {
        optimizer(
            n,
            &json!({ "name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": true, "weight_decay": 0.1 }),
        )
    }),
    ("Adam", |n, _| optimizer(n, &json!({ "name": "adam", "learning_rate": 0.1, "weight_decay": 0.1 }))),
    ("AdamW", |n, _| {
        optimizer(n, &json!({ "name": "adamw", "learning_rate": 0.1, "weight_decay": 0.1, "clip_norm": 1.0 }))
    }),
    ("LARS", |n, _| {
        optimizer(n, &json!({ "name": "lars", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1 }))
    }),
    ("moving average", |n, _| {
        let parameters = some_parameters(n)?;
        let values = ["w", "b"].map(|name| parameters.tensor(name)).into_iter().collect::<Result<Vec<_>>>()?;
        let averages = values.iter().map(|value| value.ones_like()).collect::<Result<Vec<_>>>()?;
        follow(&averages.iter().zip(values).collect::<Vec<_>>(), 0.75)?;
        averages.iter().enumerate().map(|(index, average)| Ok((format!("average {index}"), wide(average)?))).collect()
    }),
    ("norm of all gradients", |n, _| {
        let parameters = some_parameters(n)?;
        let mut gradients = Gradients::new();
        for name in ["w", "b"] {
            gradients.add(name, parameters.tensor(name)?.copy()?)?;
        }
        let norm = gradient_norm(&gradients).map_err(|error| Error::Msg(error.to_string()))?;
        Ok(Outcome::from([("norm".to_owned(), Tensor::new(&[norm], &Device::Cpu)?)]))
    }),
];

fn batch_norm(n: &Numbers<'_>, channels: usize, mode: Mode) -> Result<Outcome> {
    let mut parameters = n.parameters();
    init::batch_norm(&mut parameters, "bn", channels)?;
    n.pass(&parameters, mode, |tape, n| {
        let shape = [3, 9, 7, channels];
        let (x, residual) = (n.variable(tape, "x", &shape, 0)?, n.variable(tape, "residual", &shape, 1)?);
        tape.batch_norm(&x, "bn", Some(&residual), true)
    })
}

fn loss(
    n: &Numbers<'_>,
    channels: usize,
    function: fn(&Tensor, &Tensor, Option<u8>) -> Result<LossGradient>,
) -> Result<Outcome> {
    let labels: Vec<u8> =
        (0..2 * 9 * 7).map(|pixel| if pixel % 11 == 0 { 255 } else { (pixel % channels) as u8 }).collect();
    let labels = Tensor::from_vec(labels, (2, 9, 7), &Device::Cpu)?;
    let loss = function(&n.tensor(&[2, 9, 7, channels], 0)?, &labels, Some(255))?;
    let value = Tensor::new(&[loss.loss], &Device::Cpu)?;
    Ok(Outcome::from([("loss".to_owned(), value), ("gradient".to_owned(), wide(&loss.gradient)?)]))
}

fn some_parameters(n: &Numbers<'_>) -> Result<Parameters> {
    let mut parameters = n.parameters();
    parameters.insert("w", n.tensor(&[3, 3, 40, 30], 0)?, Role::ConvWeight)?;
    parameters.insert("b", n.tensor(&[5], 1)?, Role::Bias)?;
    Ok(parameters)
}

/// The parameters after two steps.
fn optimizer(n: &Numbers<'_>, spec: &serde_json::Value) -> Result<Outcome> {
    let parameters = some_parameters(n)?;
    let mut optimizer = Optimizer::new(serde_json::from_value(spec.clone()).map_err(Error::wrap)?);
    for step in 0..2 {
        let mut gradients = Gradients::new();
        gradients.add("w", n.tensor(&[3, 3, 40, 30], 10 + step)?)?;
        gradients.add("b", n.tensor(&[5], 20 + step)?)?;
        optimizer.step(&parameters, &gradients, 0.1, 0.5).map_err(|error| Error::Msg(error.to_string()))?;
    }
    parameters.iter().map(|(name, parameter)| Ok((name.to_owned(), wide(parameter.var.as_tensor())?))).collect()
}

pub(super) fn check(name: DeviceName, say: Say<'_>) -> Checked<String> {
    let device = open(name, Precision::Float32)?;
    let is_gpu = gpu::find(&device)?.is_some();
    let (mut checked, mut faults) = (0, Faults::new(say));
    for (&(operation, run), channels) in NETWORK.iter().flat_map(|case| CHANNELS.map(|channels| (case, channels))) {
        let types: &[_] = if is_gpu { &[DType::F64, DType::F32, DType::BF16] } else { &[DType::F64, DType::F32] };
        compare(&device, operation, |n| run(n, channels), types, &mut faults);
        checked += 1;
    }
    for &(operation, run) in WIDE {
        compare(&device, operation, |n| run(n, CHANNELS[0]), &[DType::F64, DType::F32], &mut faults);
        checked += 1;
    }
    faults.end()?;
    Ok(format!("{checked} operations"))
}

/// Runs one operation in each of `types`, and adds large errors to `faults`.
fn compare(
    device: &Device,
    operation: &str,
    run: impl Fn(&Numbers<'_>) -> Result<Outcome>,
    types: &[DType],
    faults: &mut Faults<'_>,
) {
    let on_the_cpu = || {
        let (truth, single) = (on_cpu(&run, DType::F64)?, on_cpu(&run, DType::F32)?);
        let (error, _) = worst(&single, &truth)?;
        Ok::<_, Error>((truth, error))
    };
    let (truth, cpus) = match on_the_cpu() {
        Ok(found) => found,
        Err(error) => {
            faults.add(format!("{operation} on the CPU: {}", first_line(&error)));
            return;
        }
    };
    let mut figures = Vec::new();
    for &dtype in types {
        let (limit, numbers) = match dtype {
            DType::F64 => (FLOAT64, Numbers::new(device, DType::F64, Precision::Float32)),
            DType::F32 => (FLOAT32.max(TIMES_THE_CPUS * cpus), Numbers::new(device, DType::F32, Precision::Float32)),
            _ => (BFLOAT16, Numbers::new(device, DType::F32, Precision::Bf16)),
        };
        match run(&numbers).and_then(|found| worst(&found, &truth)) {
            Ok((error, _)) if error <= limit => figures.push(format!("{dtype:?} {error:.1e}")),
            Ok((error, tensor)) => {
                faults.add(format!("{operation} in {dtype:?}: {tensor} has a relative error of {error:.1e}"))
            }
            Err(error) => faults.add(format!("{operation} in {dtype:?}: {}", first_line(&error))),
        }
    }
    faults.say(&format!("{operation}: {}", figures.join(", ")));
}
