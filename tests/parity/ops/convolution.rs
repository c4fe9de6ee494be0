//! Convolution.

use super::{Found, Operation, output_and_gradients, store, variable};
use crate::hashed::{self, PLAIN};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Result};
use matssl_run::nn::ops::Conv2d;
use matssl_run::nn::{Mode, Role, Tape};
use serde::Deserialize;

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

impl Convolution {
    /// Pixels of all outputs.
    fn positions(&self) -> usize {
        let along =
            |size: usize, kernel: usize| (size + 2 * self.padding - self.dilation * (kernel - 1) - 1) / self.stride + 1;
        self.batch * along(self.size[0], self.kernel[0]) * along(self.size[1], self.kernel[1])
    }
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
        let options = Conv2d { stride: self.stride, padding: self.padding, dilation: self.dilation, groups: 1 };
        let y = tape.conv2d(&x, "weight", self.bias.then_some("bias"), options)?;
        output_and_gradients(tape, y)
    }

    fn products(&self, tensor: &str) -> usize {
        let taps = self.kernel[0] * self.kernel[1];
        match tensor {
            "y" => taps * self.channels[0],
            "x" => taps * self.channels[1],
            "weight" => self.positions(),
            // The bias's gradient is a sum in double precision.
            _ => 1,
        }
    }

    /// ResNets and the decoders: 1×1 and 3×3 at strides 1 and 2, 7×7 at stride 2, which keep the middle of their pixel.
    fn is_in_a_network(&self) -> bool {
        let [height, width] = self.kernel;
        let shapes = [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)];
        height == width && shapes.contains(&(height, self.stride)) && self.padding == height / 2 && self.dilation == 1
    }
}

pub(super) static PART: Part = Part::new("convolutions", |done| super::sections::<Convolution>("convolution", done));

#[test]
fn convolution_is_pytorchs() {
    hold(PART.sections());
}

/// Of 189 cases; the largest sums are those of 3×3 with 512 channels.
#[test]
fn what_networks_have_is_among_the_cases() {
    let cases =
        crate::fixture::section::<crate::fixture::Case<Convolution>>(include_str!("../ops.json"), "convolution");
    let kept: Vec<&Convolution> =
        cases.iter().map(|case| &case.operation).filter(|operation| operation.is_in_a_network()).collect();
    let mut shapes: Vec<(usize, usize)> = kept.iter().map(|case| (case.kernel[0], case.stride)).collect();
    shapes.sort_unstable();
    shapes.dedup();
    assert_eq!(shapes, [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)]);
    assert!(kept.len() > 50 && kept.len() < cases.len() / 2, "{} of {}", kept.len(), cases.len());
    let most = |tensor: &str| kept.iter().map(|case| case.products(tensor)).max();
    assert_eq!([most("y"), most("x"), most("weight"), most("bias")], [4608, 4608, 8192, 1].map(Some));
}
