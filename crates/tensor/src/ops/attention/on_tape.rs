//! Attention as operations of a [`Tape`].

use super::global::{self, Sizes};
use super::global_backward::{self, Before};
use super::window;
use super::windows::WindowAttention;
use crate::{Tape, Value};
use candle_core::{Result, bail};

impl Tape<'_> {
    /// Attention inside of windows with a bias by relative position, as in Swin transformers (Liu et al. 2021, section 3.2),
    /// before the projection: from queries, keys and values `qkv` `[batch, height, width, 3 · channels]` to
    /// `[batch, height, width, channels]`. Channels of `qkv` are `[3][heads][width]`. `bias_table` names the parameter
    /// `[(2 · window - 1)², heads]`; where windows are smaller, because the grid is, it may have their size.
    ///
    /// The grid is rolled by the shift, cut into windows, and put back after. Queries are divided by the root of a head's width.
    /// Tokens that were apart before the roll have -100 added to their scores.
    ///
    /// # Errors
    /// If height or width is no multiple of the window's side, the shapes do not fit, the parameter is missing, or the device
    /// or type is not supported: on CPUs only, in float32 and float64.
    pub fn window_attention(&self, qkv: &Value, options: &WindowAttention, bias_table: &str) -> Result<Value> {
        let table = self.parameter(bias_table)?;
        let shape = window::output_shape(qkv.tensor(), table.tensor(), options)?;
        let compute = || window::forward(qkv.tensor(), table.tensor(), options);
        let output = self.output(&shape, || Err("window_attention"), compute)?;
        let (saved, saved_table, options) = (self.save(qkv), table.tensor().clone(), *options);
        Ok(self.record(output, &[qkv, &table], move |gradient, wanted| {
            let (qkv, table) = window::backward(&saved.tensor()?, &saved_table, &options, gradient)?;
            Ok(vec![Some(qkv), wanted[1].then_some(table)])
        }))
    }

    /// Attention of all tokens to all (Vaswani et al. 2017, equation 1), before the projection: from queries, keys and values
    /// `qkv` `[batch, tokens, 3 · channels]` to `[batch, tokens, channels]`. Channels of `qkv` are `[3][heads][width]`. As PyTorch's
    /// `scaled_dot_product_attention`, without a matrix of all scores.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device or type is not supported: on CPUs only, in float32 and float64.
    pub fn attention(&self, qkv: &Value, heads: usize) -> Result<Value> {
        let sizes = Sizes::new(qkv.tensor(), heads)?;
        let mut logarithms = None;
        let output = self.output(
            &sizes.output(),
            || Err("attention"),
            || {
                let (output, sums) = global::forward(qkv.tensor(), heads)?;
                logarithms = Some(sums);
                Ok(output)
            },
        )?;
        let count: usize = sizes.logarithms().iter().product();
        self.keep_bytes(count * output.dtype().size_in_bytes());
        let (saved, saved_output) = (self.save(qkv), self.save(&self.constant(output.clone())));
        Ok(self.record(output, &[qkv], move |gradient, _| {
            let Some(logarithms) = &logarithms else { bail!("attention: nothing was computed on this tape") };
            let (qkv, output) = (&saved.tensor()?, &saved_output.tensor()?);
            let before = Before { qkv, output, logarithms };
            Ok(vec![Some(global_backward::backward(&before, heads, gradient)?)])
        }))
    }
}
