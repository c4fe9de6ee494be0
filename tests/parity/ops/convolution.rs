//! Convolution.

use super::{Found, Operation, output_and_gradients, store, variable};
use crate::hashed::{self, PLAIN};
use crate::measure::{Section, hold};
use candle_core::{DType, Result};
use matssl_run::nn::ops::Conv2d;
use matssl_run::nn::{Mode, Role, Tape};
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Debug, Deserialize)]
struct Convolution {
    kernel: [usize; 2],
    stride: usize,
    padding: usize,
    dilation: usize,
    channels: [usize; 2],
    size: [usize; 2],
    batch: usize,
    bias: bool,
}

impl Operation for Convolution {
    fn line(&self) -> String {
        let special = (self.kernel, self.stride, self.padding, self.dilation) == ([3, 3], 1, 1, 1);
        match self.kernel {
            _ if special => "convolution 3×3, stride 1, padding 1".into(),
            [height, width] if height != width => "convolution, kernel not square".into(),
            [side, _] => format!("convolution {side}×{side}"),
        }
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let ([kernel_h, kernel_w], [channels_in, channels_out], [height, width]) =
            (self.kernel, self.channels, self.size);
        let mut parameters = store(dtype);
        let shape = [kernel_h, kernel_w, channels_in, channels_out];
        parameters.insert("weight", hashed::kernel("weight", shape, dtype)?, Role::ConvWeight)?;
        parameters.insert("bias", hashed::tensor("bias", &[channels_out], PLAIN, dtype)?, Role::Bias)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let x = variable(&tape, "x", &[self.batch, height, width, channels_in], dtype)?;
        let options = Conv2d { stride: self.stride, padding: self.padding, dilation: self.dilation };
        let y = tape.conv2d(&x, "weight", self.bias.then_some("bias"), options)?;
        output_and_gradients(tape, y)
    }
}

static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| super::sections::<Convolution>("convolution"));

pub(crate) fn sections() -> Vec<Section> {
    SECTIONS.clone()
}

#[test]
fn convolution_is_pytorchs() {
    hold(&SECTIONS);
}
