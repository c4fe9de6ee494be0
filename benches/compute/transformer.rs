//! Our side of the operations of vision transformers, and of a block of Swin made from them. `pytorch_transformer.py` is PyTorch's.

use crate::ours::{Place, Step, normal, operation, stream};
use crate::workloads::Spec;
use anyhow::{Result, bail};
use matssl_run::nn::ops::WindowAttention;
use matssl_run::nn::{Parameters, Role, Tape, Value, init};

/// Added to a variance.
const EPSILON: f64 = 1e-5;

/// Prepares the workload `spec`.
///
/// # Errors
/// If there is none of its kind, or it lacks a number.
pub(crate) fn step(place: &Place, spec: &Spec) -> Result<Step> {
    let (batch, channels) = (spec.number("batch")?, spec.number("channels")?);
    let mut parameters = place.parameters();
    if spec.kind == "attention" {
        let heads = spec.number("heads")?;
        let x = normal(place, &[batch, spec.number("tokens")?, 3 * channels], 0)?;
        return operation(place, parameters, move |tape| tape.attention(&tape.variable("x", x.clone()), heads));
    }
    let size = spec.number("size")?;
    let grid = |channels: usize| normal(place, &[batch, size, size, channels], 0);
    let x = grid(if spec.kind == "window-attention" { 3 * channels } else { channels })?;
    match spec.kind.as_str() {
        "window-attention" => {
            let options = window_attention(place, spec, &mut parameters)?;
            operation(place, parameters, move |tape| {
                tape.window_attention(&tape.variable("x", x.clone()), &options, "table")
            })
        }
        "layer-norm" => {
            init::layer_norm(&mut parameters, "norm", channels)?;
            operation(place, parameters, move |tape| tape.layer_norm(&tape.variable("x", x.clone()), "norm", EPSILON))
        }
        "gelu" => operation(place, parameters, move |tape| tape.gelu(&tape.variable("x", x.clone()))),
        "linear" => {
            init::linear(&mut parameters, "linear", [channels, spec.number("out")?], true, &stream())?;
            operation(place, parameters, move |tape| linear(tape, &tape.variable("x", x.clone()), "linear"))
        }
        "swin-block" => {
            let options = window_attention(place, spec, &mut parameters)?;
            for (name, [from, to]) in [("qkv", [1, 3]), ("proj", [1, 1]), ("fc1", [1, 4]), ("fc2", [4, 1])] {
                init::linear(&mut parameters, name, [from * channels, to * channels], true, &stream())?;
            }
            for name in ["norm1", "norm2"] {
                init::layer_norm(&mut parameters, name, channels)?;
            }
            operation(place, parameters, move |tape| swin_block(tape, &tape.variable("x", x.clone()), &options))
        }
        other => bail!("there is no workload {other}"),
    }
}

/// The options of `spec`, and the table of biases as the parameter `table`.
fn window_attention(place: &Place, spec: &Spec, parameters: &mut Parameters) -> Result<WindowAttention> {
    let [heads, window, shift] = [spec.number("heads")?, spec.number("window")?, spec.number("shift")?];
    let side = window.min(spec.number("size")?);
    parameters.insert("table", (normal(place, &[(2 * side - 1).pow(2), heads], 1)? * 0.02)?, Role::Bias)?;
    Ok(WindowAttention { heads, window, shift })
}

fn linear(tape: &Tape<'_>, x: &Value, name: &str) -> candle_core::Result<Value> {
    tape.linear(x, &format!("{name}.weight"), Some(&format!("{name}.bias")))
}

fn swin_block(tape: &Tape<'_>, x: &Value, options: &WindowAttention) -> candle_core::Result<Value> {
    let qkv = linear(tape, &tape.layer_norm(x, "norm1", EPSILON)?, "qkv")?;
    let attended = linear(tape, &tape.window_attention(&qkv, options, "table")?, "proj")?;
    let x = tape.sum(x, &attended)?;
    let hidden = linear(tape, &tape.layer_norm(&x, "norm2", EPSILON)?, "fc1")?;
    let y = linear(tape, &tape.gelu(&hidden)?, "fc2")?;
    tape.sum(&x, &y)
}
