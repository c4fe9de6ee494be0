//! Attention inside of windows, and of all tokens.

use super::{Found, Operation, output_and_gradients, sections_in, store};
use crate::hashed::{self, PLAIN, Spread};
use crate::part::{Done, Part};
use crate::section::hold;
use candle_core::{DType, Result};
use matssl_run::nn::ops::WindowAttention;
use matssl_run::nn::{Mode, Role, Tape};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Windows {
    batch: usize,
    size: [usize; 2],
    channels: usize,
    heads: usize,
    window: usize,
    shift: usize,
    /// Of queries, keys and values.
    scale: f64,
}

impl Operation for Windows {
    fn line(&self) -> String {
        "attention inside of windows".into()
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let Windows { batch, size: [height, width], channels, heads, window, shift, scale } = *self;
        let side = window.min(height).min(width);
        let mut parameters = store(dtype);
        let table = hashed::tensor("table", &[(2 * side - 1).pow(2), heads], PLAIN, dtype)?;
        parameters.insert("table", table, Role::Bias)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let spread = Spread { scale, offset: 0.0 };
        let qkv = tape.variable("qkv", hashed::tensor("qkv", &[batch, height, width, 3 * channels], spread, dtype)?);
        let y = tape.window_attention(&qkv, &WindowAttention { heads, window, shift }, "table")?;
        output_and_gradients(tape, y)
    }
}

#[derive(Debug, Deserialize)]
struct Global {
    batch: usize,
    tokens: usize,
    heads: usize,
    width: usize,
    /// Of queries, keys and values.
    scale: f64,
}

impl Operation for Global {
    fn line(&self) -> String {
        format!("attention of {} tokens", self.tokens)
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let Global { batch, tokens, heads, width, scale } = *self;
        let parameters = store(dtype);
        let tape = Tape::new(&parameters, Mode::Train);
        let spread = Spread { scale, offset: 0.0 };
        let qkv = tape.variable("qkv", hashed::tensor("qkv", &[batch, tokens, 3 * heads * width], spread, dtype)?);
        let y = tape.attention(&qkv, heads)?;
        output_and_gradients(tape, y)
    }
}

pub(super) static PART: Part = Part::new("attention", |done: Done<'_>| {
    // On a GPU it is refused.
    if !hashed::is_on_gpu() {
        let fixture = include_str!("../attention.json");
        sections_in::<Windows>(fixture, "window_attention", done);
        sections_in::<Global>(fixture, "attention", done);
    }
});

#[test]
fn attention_is_pytorchs() {
    hold(PART.sections());
}
