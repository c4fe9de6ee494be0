//! Random numbers for the checks, and comparisons of results.

use crate::nn::ops::gpu::probe;
use crate::nn::{Mode, Parameters, Precision, Role, Tape, Value};
use crate::random::Stream;
use candle_core::{DType, Device, Result, Tensor};
use std::collections::BTreeMap;

/// Results by name, in float64 on the CPU.
pub(super) type Outcome = BTreeMap<String, Tensor>;

/// A device and a type of numbers. The numbers are the same for all, because they are exact in bfloat16.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'d> {
    pub(super) device: &'d Device,
    /// The type of parameters.
    pub(super) dtype: DType,
    /// Determines the type of activations.
    pub(super) precision: Precision,
}

impl<'d> Numbers<'d> {
    pub(super) fn new(device: &'d Device, dtype: DType, precision: Precision) -> Self {
        Numbers { device, dtype, precision }
    }

    /// An empty set of parameters.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters::new(self.dtype, self.device).with_precision(self.precision)
    }

    /// Standard normal numbers in the type of activations. Each `index` has its own numbers.
    pub(super) fn tensor(&self, shape: &[usize], index: u64) -> Result<Tensor> {
        let activations = if self.precision == Precision::Bf16 { DType::BF16 } else { self.dtype };
        normal(shape, index)?.to_dtype(activations)?.to_device(self.device)
    }

    /// Adds a parameter of standard normal numbers, divided by `divisor`.
    pub(super) fn add(
        &self,
        parameters: &mut Parameters,
        name: &str,
        shape: &[usize],
        divisor: f64,
        index: u64,
    ) -> Result<()> {
        let values = (normal(shape, index)?.to_dtype(DType::F64)? / divisor)?;
        let role = if shape.len() == 4 { Role::ConvWeight } else { Role::LinearWeight };
        // The same rounding for all types.
        let values = values.to_dtype(DType::BF16)?.to_dtype(self.dtype)?.to_device(self.device)?;
        parameters.insert(name, values, role)
    }

    /// The output of `forward`, and the gradients of all variables and parameters for a random output gradient.
    pub(super) fn pass(
        &self,
        parameters: &Parameters,
        mode: Mode,
        forward: impl FnOnce(&Tape<'_>, &Self) -> Result<Value>,
    ) -> Result<Outcome> {
        let tape = Tape::new(parameters, mode);
        let y = forward(&tape, self)?;
        let seed = normal(y.tensor().dims(), 99)?.to_dtype(y.tensor().dtype())?.to_device(self.device)?;
        outcome(tape, y, seed)
    }

    /// A variable of random numbers.
    pub(super) fn variable(&self, tape: &Tape<'_>, name: &str, shape: &[usize], index: u64) -> Result<Value> {
        Ok(tape.variable(name, self.tensor(shape, index)?))
    }
}

/// The output `y`, the gradients of all variables and parameters for the output gradient `seed` (not in evaluation),
/// and the running statistics.
pub(super) fn outcome(tape: Tape<'_>, y: Value, seed: Tensor) -> Result<Outcome> {
    let parameters = tape.parameters();
    let mut outcome = Outcome::from([("output".to_owned(), wide(y.tensor())?)]);
    if tape.mode() != Mode::Eval {
        for (name, gradient) in tape.backward(vec![(y, seed)])?.iter() {
            outcome.insert(format!("gradient of {name}"), wide(gradient)?);
        }
    }
    for (name, parameter) in parameters.iter().filter(|(name, _)| name.contains("running")) {
        outcome.insert(name.to_owned(), wide(parameter.var.as_tensor())?);
    }
    Ok(outcome)
}

/// Standard normal numbers in bfloat16, on the CPU.
fn normal(shape: &[usize], index: u64) -> Result<Tensor> {
    let mut stream = Stream::new(1, "doctor", 0, index);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(DType::BF16)
}

/// `tensor` in float64 on the CPU.
pub(super) fn wide(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)
}

/// Whether two tensors have the same bits; NaN counts as different.
pub(super) fn same_bits(a: &Tensor, b: &Tensor) -> Result<bool> {
    let bits = |tensor: &Tensor| wide(tensor)?.flatten_all()?.to_vec1::<f64>();
    let (a_bits, b_bits) = (bits(a)?, bits(b)?);
    let same = a_bits.iter().zip(&b_bits).all(|(a, b)| a == b && a.is_sign_negative() == b.is_sign_negative());
    Ok(a.dims() == b.dims() && a.dtype() == b.dtype() && same)
}

/// ‖found − truth‖ ÷ ‖truth‖, both in float64 on the CPU.
pub(super) fn relative_error(found: &Tensor, truth: &Tensor) -> Result<f64> {
    let norm = |tensor: &Tensor| tensor.sqr()?.sum_all()?.to_scalar::<f64>().map(f64::sqrt);
    let scale = norm(truth)?;
    Ok(norm(&(found - truth)?)? / if scale > 0.0 { scale } else { 1.0 })
}

/// The largest relative error and the name of its tensor. NaN is larger than any number.
pub(super) fn worst(found: &Outcome, truth: &Outcome) -> Result<(f64, String)> {
    let mut worst = (0.0, "nothing".to_owned());
    for (name, truth) in truth {
        let error = match found.get(name) {
            Some(found) => relative_error(found, truth)?,
            None => f64::NAN,
        };
        let is_worse = error > worst.0 || error.is_nan();
        if is_worse && !f64::is_nan(worst.0) {
            worst = (error, name.clone());
        }
    }
    Ok(worst)
}

/// Runs `work` on the CPU, without GPU kernels.
pub(super) fn on_cpu(work: impl Fn(&Numbers<'_>) -> Result<Outcome>, dtype: DType) -> Result<Outcome> {
    probe::on_cpu(|| work(&Numbers::new(&Device::Cpu, dtype, Precision::Float32)))
}

/// Collects faults. Reports each immediately, because the step may crash later.
pub(super) struct Faults<'s> {
    say: super::step::Say<'s>,
    found: Vec<String>,
}

impl<'s> Faults<'s> {
    pub(super) fn new(say: super::step::Say<'s>) -> Self {
        Faults { say, found: Vec::new() }
    }

    pub(super) fn say(&mut self, line: &str) {
        (self.say)(line);
    }

    pub(super) fn add(&mut self, fault: String) {
        (self.say)(&format!("FAULT: {fault}"));
        self.found.push(fault);
    }

    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Ends the check.
    ///
    /// # Errors
    /// All faults in one line, if there are any.
    pub(super) fn end(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.found.is_empty(), "{} faults: {}", self.found.len(), self.found.join("; "));
        Ok(())
    }
}

/// An error's text without the backtrace that candle may append.
pub(super) fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
