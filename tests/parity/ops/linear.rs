//! Linear layers.

use super::{Found, Operation, output_and_gradients, store, variable};
use crate::hashed::{self, PLAIN, Spread};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Result};
use matssl_run::nn::{Mode, Role, Tape};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Linear {
    rows: usize,
    channels: [usize; 2],
    bias: bool,
}

impl Operation for Linear {
    fn line(&self) -> String {
        "linear".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let [inputs, outputs] = self.channels;
        let mut parameters = store(dtype);
        let spread = Spread { scale: (6.0 / inputs as f64).sqrt(), offset: 0.0 };
        let weight = hashed::tensor("weight", &[outputs, inputs], spread, dtype)?;
        parameters.insert("weight", weight, Role::LinearWeight)?;
        parameters.insert("bias", hashed::tensor("bias", &[outputs], PLAIN, dtype)?, Role::Bias)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let x = variable(&tape, "x", &[self.rows, inputs], dtype)?;
        let y = tape.linear(&x, "weight", self.bias.then_some("bias"))?;
        output_and_gradients(tape, y)
    }

    fn products(&self, tensor: &str) -> usize {
        match tensor {
            "y" => self.channels[0],
            "x" => self.channels[1],
            "weight" => self.rows,
            _ => 1,
        }
    }
}

pub(super) static PART: Part = Part::new("linear layers", |done| super::sections::<Linear>("linear", done));

#[test]
fn linear_is_pytorchs() {
    hold(PART.sections());
}
