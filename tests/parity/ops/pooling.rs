//! Max pooling and global average pooling.

use super::{Found, Operation, output_and_gradients, store, variable};
use crate::hashed::{self, PLAIN};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Result};
use matssl_run::nn::{Mode, Tape, ops};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct MaxPool {
    kernel: usize,
    stride: usize,
    padding: usize,
    ceil_mode: bool,
    /// Many equal maxima, zeros as behind a ReLU among them: the first gets the gradient.
    ties: bool,
    size: [usize; 2],
    channels: usize,
}

impl Operation for MaxPool {
    fn line(&self) -> String {
        let MaxPool { kernel, stride, padding, .. } = self;
        format!("max pool {kernel}×{kernel}, stride {stride}, padding {padding}")
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let [height, width] = self.size;
        let mut x = hashed::tensor("x", &[2, height, width, self.channels], PLAIN, DType::F64)?;
        if self.ties {
            // No draw lies on a half, so it does not matter which way halves are rounded.
            x = ((x * 2.0)?.round()?.maximum(0.0)? / 2.0)?;
        }
        let parameters = store(dtype);
        let tape = Tape::new(&parameters, Mode::Train);
        let MaxPool { kernel, stride, padding, ceil_mode, .. } = *self;
        let options = ops::MaxPool { kernel, stride, padding, ceil_mode };
        let y = tape.max_pool(&tape.variable("x", x.to_dtype(dtype)?), options)?;
        output_and_gradients(tape, y)
    }
}

#[derive(Debug, Deserialize)]
struct GlobalAveragePool {
    size: [usize; 2],
    channels: usize,
}

impl Operation for GlobalAveragePool {
    fn line(&self) -> String {
        "global average pool".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let [height, width] = self.size;
        let parameters = store(dtype);
        let tape = Tape::new(&parameters, Mode::Train);
        let x = variable(&tape, "x", &[2, height, width, self.channels], dtype)?;
        let y = tape.global_average_pool(&x)?;
        output_and_gradients(tape, y)
    }
}

pub(super) static PART: Part = Part::new("pooling", |done| {
    super::sections::<MaxPool>("max_pool", done);
    super::sections::<GlobalAveragePool>("global_average_pool", done);
});

#[test]
fn pooling_is_pytorchs() {
    hold(PART.sections());
}
