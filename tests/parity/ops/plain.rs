//! The plain operations of transformers and SE-ResNets.

use super::{Found, Operation, output_and_gradients, sections_in, store, variable};
use crate::hashed::{self, PLAIN, Spread};
use crate::part::{Done, Part};
use crate::section::hold;
use candle_core::{DType, Result};
use matssl_run::nn::ops::{CellOrder, Conv2d};
use matssl_run::nn::{Mode, Role, Tape};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct LayerNorm {
    shape: Vec<usize>,
    epsilon: f64,
    offset: f64,
}

impl Operation for LayerNorm {
    fn line(&self) -> String {
        "layer norm".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let channels = [self.shape[self.shape.len() - 1]];
        let mut parameters = store(dtype);
        let weight = hashed::tensor("norm.weight", &channels, Spread { scale: 0.3, offset: 1.0 }, dtype)?;
        parameters.insert("norm.weight", weight, Role::NormWeight)?;
        parameters.insert("norm.bias", hashed::tensor("norm.bias", &channels, PLAIN, dtype)?, Role::NormBias)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let spread = Spread { scale: 1.0, offset: self.offset };
        let x = tape.variable("x", hashed::tensor("x", &self.shape, spread, dtype)?);
        let y = tape.layer_norm(&x, "norm", self.epsilon)?;
        output_and_gradients(tape, y)
    }
}

#[derive(Debug, Deserialize)]
struct Pointwise {
    function: String,
    shape: Vec<usize>,
    scale: f64,
}

impl Operation for Pointwise {
    fn line(&self) -> String {
        self.function.clone()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let parameters = store(dtype);
        let tape = Tape::new(&parameters, Mode::Train);
        let spread = Spread { scale: self.scale, offset: 0.0 };
        let x = tape.variable("x", hashed::tensor("x", &self.shape, spread, dtype)?);
        let y = if self.function == "gelu" { tape.gelu(&x)? } else { tape.sigmoid(&x)? };
        output_and_gradients(tape, y)
    }
}

#[derive(Debug, Deserialize)]
struct Linear {
    shape: Vec<usize>,
    outputs: usize,
    bias: bool,
}

impl Operation for Linear {
    fn line(&self) -> String {
        "linear layers of maps and tokens".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let inputs = self.shape[self.shape.len() - 1];
        let mut parameters = store(dtype);
        let spread = Spread { scale: (6.0 / inputs as f64).sqrt(), offset: 0.0 };
        let weight = hashed::tensor("weight", &[self.outputs, inputs], spread, dtype)?;
        parameters.insert("weight", weight, Role::LinearWeight)?;
        parameters.insert("bias", hashed::tensor("bias", &[self.outputs], PLAIN, dtype)?, Role::Bias)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let x = variable(&tape, "x", &self.shape, dtype)?;
        let y = tape.linear(&x, "weight", self.bias.then_some("bias"))?;
        output_and_gradients(tape, y)
    }
}

#[derive(Debug, Deserialize)]
struct Cells {
    merges: bool,
    side: usize,
    order: String,
    shape: Vec<usize>,
}

impl Operation for Cells {
    fn line(&self) -> String {
        "cells of pixels".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let parameters = store(dtype);
        let tape = Tape::new(&parameters, Mode::Train);
        let x = variable(&tape, "x", &self.shape, dtype)?;
        let order = if self.order == "row-major" { CellOrder::RowMajor } else { CellOrder::RowsFirst };
        let y = match self.merges {
            true => tape.merge_cells(&x, self.side, order)?,
            false => tape.expand_cells(&x, self.side, order)?,
        };
        output_and_gradients(tape, y)
    }
}

#[derive(Debug, Deserialize)]
struct Scale {
    shape: Vec<usize>,
    gate: String,
}

impl Operation for Scale {
    fn line(&self) -> String {
        "scaled channels".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let (batch, channels) = (self.shape[0], self.shape[self.shape.len() - 1]);
        let is_vector = self.gate == "channels";
        let factors = if is_vector { vec![channels] } else { vec![batch, 1, 1, channels] };
        let mut parameters = store(dtype);
        parameters.insert("gate", hashed::tensor("gate", &factors, PLAIN, dtype)?, Role::NormWeight)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let x = variable(&tape, "x", &self.shape, dtype)?;
        let y = match &*self.gate {
            "channels" => tape.scale(&x, "gate")?,
            "images" => tape.scale_channels(&x, &tape.parameter("gate")?)?,
            _ => {
                let residual = variable(&tape, "residual", &self.shape, dtype)?;
                tape.scale_channels_residual(&x, &tape.parameter("gate")?, &residual)?
            }
        };
        output_and_gradients(tape, y)
    }
}

#[derive(Debug, Deserialize)]
struct Groups {
    kernel: usize,
    stride: usize,
    groups: usize,
    channels: [usize; 2],
    size: [usize; 2],
    bias: bool,
}

impl Operation for Groups {
    fn line(&self) -> String {
        "convolution in groups".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let Groups { kernel, stride, groups, channels: [c_in, c_out], size: [height, width], bias } = *self;
        let mut parameters = store(dtype);
        let weight = hashed::kernel("weight", [kernel, kernel, c_in / groups, c_out], dtype)?;
        parameters.insert("weight", weight, Role::ConvWeight)?;
        parameters.insert("bias", hashed::tensor("bias", &[c_out], PLAIN, dtype)?, Role::Bias)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let x = variable(&tape, "x", &[2, height, width, c_in], dtype)?;
        let options = Conv2d { groups, ..Conv2d::new(stride, kernel / 2) };
        let y = tape.conv2d(&x, "weight", bias.then_some("bias"), options)?;
        output_and_gradients(tape, y)
    }
}

pub(super) static PART: Part = Part::new("plain operations of transformers", |done: Done<'_>| {
    // On a GPU they are refused.
    if hashed::is_on_gpu() {
        return;
    }
    let fixture = include_str!("../plain.json");
    sections_in::<LayerNorm>(fixture, "layer_norm", done);
    sections_in::<Pointwise>(fixture, "pointwise", done);
    sections_in::<Linear>(fixture, "linear", done);
    sections_in::<Cells>(fixture, "cells", done);
    sections_in::<Scale>(fixture, "scale", done);
    sections_in::<Groups>(fixture, "groups", done);
});

#[test]
fn plain_operations_are_pytorchs() {
    hold(PART.sections());
}
