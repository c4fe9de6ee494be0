//! Batch norm, with and without residual and ReLU, in training and with running statistics.

use super::{Found, Operation, output_and_gradients, store};
use crate::hashed::{self, PLAIN, Spread};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::{Mode, Parameters, Role, Tape, Value};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct BatchNorm {
    training: bool,
    residual: bool,
    relu: bool,
    shape: [usize; 4],
    /// Mean of the input.
    offset: f64,
}

impl BatchNorm {
    fn forward(&self, tape: &Tape<'_>, dtype: DType) -> Result<Value> {
        let spread = Spread { scale: 1.0, offset: self.offset };
        let x = tape.variable("x", hashed::tensor("x", &self.shape, spread, dtype)?);
        let residual = tape.variable("residual", hashed::tensor("residual", &self.shape, PLAIN, dtype)?);
        tape.batch_norm(&x, "bn", self.residual.then_some(&residual), self.relu)
    }

    fn parameters(&self, dtype: DType) -> Result<Parameters> {
        let mut parameters = store(dtype);
        for (name, scale, offset, role) in [
            ("weight", 0.3, 1.0, Role::NormWeight),
            ("bias", 1.0, 0.0, Role::NormBias),
            ("running_mean", 0.1, self.offset, Role::Buffer),
            ("running_var", 0.3, 1.0, Role::Buffer),
        ] {
            let value = hashed::tensor(name, &self.shape[3..], Spread { scale, offset }, dtype)?;
            parameters.insert(format!("bn.{name}"), value, role)?;
        }
        parameters.insert("bn.num_batches_tracked", Tensor::new(0i64, hashed::device())?, Role::Buffer)?;
        Ok(parameters)
    }
}

impl Operation for BatchNorm {
    fn line(&self) -> String {
        let mode = if self.training { "training" } else { "inference" };
        match (self.residual, self.relu) {
            _ if self.offset != 0.0 => format!("batch norm, {mode}, mean {}", self.offset),
            (true, true) => format!("batch norm + add + ReLU, {mode}"),
            (true, false) => format!("batch norm + add, {mode}"),
            (false, true) => format!("batch norm + ReLU, {mode}"),
            (false, false) => format!("batch norm, {mode}"),
        }
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let parameters = self.parameters(dtype)?;
        let mode = if self.training { Mode::Train } else { Mode::Frozen };
        let tape = Tape::new(&parameters, mode);
        let y = self.forward(&tape, dtype)?;
        let found = output_and_gradients(tape, y)?;
        let mut found: Found =
            found.into_iter().map(|(name, value)| (name.trim_start_matches("bn.").to_owned(), value)).collect();
        for name in ["running_mean", "running_var"] {
            let now = parameters.tensor(&format!("bn.{name}"))?;
            if self.training {
                found.insert(name.to_owned(), (now.clone(), Role::Buffer));
            } else {
                let before = self.parameters(dtype)?;
                let moved = (now - before.tensor(&format!("bn.{name}"))?)?.abs()?.to_dtype(DType::F64)?.max_all()?;
                assert_eq!(moved.to_scalar::<f64>()?, 0.0, "{name} moved in inference mode");
            }
        }
        if !self.training {
            // The output is that of Mode::Eval, the gradients those of Mode::Frozen, the same function.
            let y = self.forward(&Tape::new(&parameters, Mode::Eval), dtype)?;
            found.insert("y".to_owned(), (y.tensor().clone(), Role::Buffer));
        }
        Ok(found)
    }
}

pub(super) static PART: Part = Part::new("batch norms", |done| super::sections::<BatchNorm>("batch_norm", done));

#[test]
fn batch_norm_is_pytorchs() {
    hold(PART.sections());
}
