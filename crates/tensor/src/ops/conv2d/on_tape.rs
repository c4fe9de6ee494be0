//! Convolutions on the tape.

use super::geometry::Geometry;
use super::gpu;
use super::gradients::Wanted;
use super::groups::{backward, forward};
use super::options::{After, Conv2d};
use super::source::{self, Joined};
use crate::graph::Operation;
use crate::saved::Saved;
use crate::tape::{Mode, Tape, Value};
use candle_core::{Result, Tensor, bail};

fn joined(inputs: &[(&Value, bool)]) -> Vec<Joined> {
    inputs.iter().map(|(value, doubled)| Joined { tensor: value.tensor().clone(), doubled: *doubled }).collect()
}

/// The inputs: as they were saved, or computed again.
fn read(saved: &[(Saved, bool)]) -> Result<Vec<Joined>> {
    saved.iter().map(|(saved, doubled)| Ok(Joined { tensor: saved.tensor()?, doubled: *doubled })).collect()
}

impl Tape<'_> {
    /// Convolves `x` `[batch, height, width, in]` with the parameter `weight` and adds the parameter `bias`.
    ///
    /// # Errors
    /// If a parameter is missing, or as [`forward`](super::forward()).
    pub fn conv2d(&self, x: &Value, weight: &str, bias: Option<&str>, options: Conv2d) -> Result<Value> {
        self.conv2d_joined(&[(x, false)], weight, bias, options)
    }

    /// As [`Tape::conv2d`] of several values side by side, each doubled in height and width by nearest-neighbour
    /// upsampling if its flag is set; neither is written out.
    ///
    /// # Errors
    /// As [`Tape::conv2d`].
    pub fn conv2d_joined(
        &self,
        inputs: &[(&Value, bool)],
        weight: &str,
        bias: Option<&str>,
        options: Conv2d,
    ) -> Result<Value> {
        let describe = || {
            let doubled = inputs.iter().map(|(_, doubled)| *doubled).collect();
            let operation =
                Operation::Conv2d { doubled, weight: weight.to_owned(), bias: bias.map(str::to_owned), options };
            Ok((operation, inputs.iter().map(|(value, _)| value.tensor().id()).collect()))
        };
        let (weight, bias) = (self.parameter(weight)?, bias.map(|name| self.parameter(name)).transpose()?);
        let joined = joined(inputs);
        let after = After { bias: bias.as_ref().map(Value::tensor), ..After::default() };
        let geometry = Geometry::new(&source::shape(&joined)?, weight.tensor().dims(), &options)?;
        let shape = geometry.shape();
        if options.groups == 1 {
            self.count_convolution(gpu::sizes(&geometry), gpu::writes_out(&joined)?);
        }
        let output = self.output(&shape, describe, || forward(&joined, weight.tensor(), after, options))?;
        let saved: Vec<(Saved, bool)> = inputs.iter().map(|(value, doubled)| (self.save(value), *doubled)).collect();
        let saved_weight = weight.tensor().clone();
        let values: Vec<&Value> = inputs.iter().map(|(value, _)| *value).chain([&weight]).chain(&bias).collect();
        let again = {
            let (saved, weight) = (saved.clone(), saved_weight.clone());
            let bias = bias.as_ref().map(|bias| bias.tensor().clone());
            move || forward(&read(&saved)?, &weight, After { bias: bias.as_ref(), ..After::default() }, options)
        };
        let backward = move |gradient: &Tensor, wanted: &[bool]| {
            let inputs = read(&saved)?;
            let count = inputs.len();
            let wanted = Wanted {
                inputs: wanted[..count].to_vec(),
                weight: wanted[count],
                bias: wanted.get(count + 1) == Some(&true),
            };
            let found = backward(&inputs, &saved_weight, gradient, options, &wanted)?;
            Ok(found.inputs.into_iter().chain([found.weight, found.bias]).collect())
        };
        Ok(match self.recomputes() {
            true => self.record_recomputable(output, &values, again, backward),
            false => self.record(output, &values, backward),
        })
    }

    /// A convolution with the parameter `conv`, batch norm with those below `norm`, plus `residual`, through a ReLU if
    /// `relu`; inputs as for [`Tape::conv2d_joined`]. For evaluation the batch norm is folded into the convolution.
    ///
    /// # Errors
    /// If a parameter is missing, or the shapes do not fit one another.
    pub fn conv_norm(
        &self,
        inputs: &[(&Value, bool)],
        (conv, norm): (&str, &str),
        options: Conv2d,
        residual: Option<&Value>,
        relu: bool,
    ) -> Result<Value> {
        if self.mode() != Mode::Eval {
            if self.parameters().folded().is_some() && !self.is_dry() {
                bail!("`{norm}` is part of `{conv}` for good: parameters for inference have passes in Mode::Eval only");
            }
            let y = self.conv2d_joined(inputs, conv, None, options)?;
            return self.batch_norm(&y, norm, residual, relu);
        }
        let (weight, bias) = self.folded(conv, norm)?;
        let joined = joined(inputs);
        let after = After { bias: Some(&bias), residual: residual.map(Value::tensor), relu };
        Ok(self.constant(forward(&joined, &weight, after, options)?))
    }

    /// The weight of `conv` times the scale of `norm`, and the bias that remains of `norm`. Parameters for inference keep both.
    fn folded(&self, conv: &str, norm: &str) -> Result<(Tensor, Tensor)> {
        let Some(mut kept) = self.parameters().folded() else {
            let (scale, bias) = self.folded_norm(norm)?;
            return Ok((self.parameter(conv)?.tensor().broadcast_mul(&scale)?, bias));
        };
        let bias = match kept.get(norm) {
            Some(bias) => bias.clone(),
            None => {
                let (scale, bias) = self.folded_norm(norm)?;
                let weight = &self.parameters().get(conv)?.var;
                weight.set(&weight.as_detached_tensor().broadcast_mul(&scale)?)?;
                kept.insert(norm.to_owned(), bias.clone());
                bias
            }
        };
        Ok((self.parameters().get(conv)?.var.as_detached_tensor(), bias))
    }
}
