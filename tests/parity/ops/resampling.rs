//! Upsampling and concatenation: what a decoder does between convolutions.

use super::{Found, Operation, output_and_gradients, store, variable};
use crate::part::Part;
use crate::section::hold;
use candle_core::{DType, Result};
use matssl_run::nn::{Mode, Tape, Value};
use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Nearest,
    /// Bilinear with `align_corners=False`.
    Centers,
    /// Bilinear with `align_corners=True`.
    Corners,
}

#[derive(Debug, Deserialize)]
struct Upsample {
    mode: Kind,
    size: [usize; 2],
    channels: usize,
}

impl Operation for Upsample {
    fn line(&self) -> String {
        match self.mode {
            Kind::Nearest => "upsample ×2, nearest".into(),
            Kind::Centers => "upsample ×2, bilinear".into(),
            Kind::Corners => "upsample ×2, bilinear, aligned corners".into(),
        }
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let [height, width] = self.size;
        let parameters = store(dtype);
        let tape = Tape::new(&parameters, Mode::Train);
        let x = variable(&tape, "x", &[2, height, width, self.channels], dtype)?;
        let y = match self.mode {
            Kind::Nearest => tape.upsample_nearest(&x)?,
            Kind::Centers => tape.upsample_bilinear(&x, false)?,
            Kind::Corners => tape.upsample_bilinear(&x, true)?,
        };
        output_and_gradients(tape, y)
    }
}

#[derive(Debug, Deserialize)]
struct Concat {
    size: [usize; 2],
    channels: Vec<usize>,
}

impl Operation for Concat {
    fn line(&self) -> String {
        "concatenation".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let [height, width] = self.size;
        let parameters = store(dtype);
        let tape = Tape::new(&parameters, Mode::Train);
        let input = |(index, &channels): (usize, &usize)| {
            variable(&tape, &format!("x{index}"), &[2, height, width, channels], dtype)
        };
        let inputs: Vec<Value> = self.channels.iter().enumerate().map(input).collect::<Result<_>>()?;
        let y = tape.concat(&inputs.iter().collect::<Vec<_>>())?;
        output_and_gradients(tape, y)
    }
}

pub(super) static PART: Part = Part::new("resampling", |done| {
    super::sections::<Upsample>("upsample", done);
    super::sections::<Concat>("concat", done);
});

#[test]
fn resampling_is_pytorchs() {
    hold(PART.sections());
}
