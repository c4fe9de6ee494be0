//! The block of a Swin transformer: attention in windows, then a small network for each patch.

use super::layer::Layer;
use super::swin_config::Mlp;
use candle_core::{Result, bail};
use matssl_tensor::init::join;
use matssl_tensor::ops::WindowAttention;
use matssl_tensor::{Mode, Parameters, Tape, Value};

/// Added to the variance of layer norms.
pub(super) const EPSILON: f64 = 1e-5;
/// Channels inside the small network, in those of the block.
const RATIO: usize = 4;

/// A block with its place in the network (Liu et al. 2021, Eq. 3; pre-norm).
#[derive(Clone, Debug)]
pub(super) struct SwinBlock {
    /// Where its parameters lie.
    pub(super) name: String,
    /// Its number in the network: its random numbers in training are its own.
    pub(super) number: u64,
    pub(super) channels: usize,
    pub(super) heads: usize,
    /// Side of the windows; smaller maps are one window.
    pub(super) window: usize,
    /// Whether the windows are shifted by half of one.
    pub(super) is_shifted: bool,
    /// Probability that either of its two branches is dropped in training.
    pub(super) drop_path: f64,
    pub(super) mlp: Mlp,
}

impl SwinBlock {
    /// Its layers, in Swin's order.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let (name, c) = (&self.name, self.channels);
        let norm = |layer: &str| Layer::Norm { name: join(name, layer), channels: c };
        let linear = |layer: &str, channels| Layer::Linear { name: join(name, layer), channels, bias: true };
        let rows = (2 * self.window - 1) * (2 * self.window - 1);
        let mut layers = vec![
            norm("norm1"),
            Layer::Table { name: join(name, "attn.relative_position_bias_table"), shape: [rows, self.heads] },
            linear("attn.qkv", [c, 3 * c]),
            linear("attn.proj", [c, c]),
            norm("norm2"),
            linear("mlp.fc1", [c, RATIO * c]),
            linear("mlp.fc2", [RATIO * c, c]),
        ];
        layers.extend((self.mlp == Mlp::Residual).then(|| linear("mlp.fc3", [c, c])));
        layers
    }

    /// `[batch, height, width, channels]` from `x` of the same shape, with the parameters below `prefix`.
    ///
    /// # Errors
    /// If parameters are missing, or height and width are not whole windows.
    pub(super) fn forward(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<Value> {
        let name = join(prefix, &self.name);
        let of = |layer: &str| join(&name, layer);
        let linear = |x: &Value, layer: &str| {
            tape.linear(x, &of(&format!("{layer}.weight")), Some(&of(&format!("{layer}.bias"))))
        };
        let y = linear(&tape.layer_norm(x, &of("norm1"), EPSILON)?, "attn.qkv")?;
        let shift = if self.is_shifted { self.window / 2 } else { 0 };
        let attention = WindowAttention { heads: self.heads, window: self.window, shift };
        let y = tape.window_attention(&y, &attention, &of("attn.relative_position_bias_table"))?;
        let y = self.drop(tape, linear(&y, "attn.proj")?, 0)?;
        let x = tape.add(x, &y)?;
        let u = tape.layer_norm(&x, &of("norm2"), EPSILON)?;
        let y = linear(&tape.gelu(&linear(&u, "mlp.fc1")?)?, "mlp.fc2")?;
        let y = match self.mlp {
            Mlp::Plain => y,
            Mlp::Residual => linear(&tape.gelu(&tape.add(&y, &u)?)?, "mlp.fc3")?,
        };
        Ok(tape.keep(tape.add(&x, &self.drop(tape, y, 1)?)?))
    }

    /// Drops the branch for some of the images in training, and scales it for the others (Huang et al. 2016).
    fn drop(&self, tape: &Tape<'_>, y: Value, branch: u64) -> Result<Value> {
        if self.drop_path == 0.0 || tape.mode() != Mode::Train || tape.is_dry() {
            return Ok(y);
        }
        match tape.stream() {
            Some(stream) => tape.drop_path(&y, self.drop_path, &stream.child(2 * self.number + branch)),
            None => bail!("`{}` drops paths in training, but the pass was given no random numbers", self.name),
        }
    }
}

/// The probabilities with which `blocks` blocks are dropped: from 0 to `last` in equal steps.
pub(super) fn drop_paths(last: f64, blocks: usize) -> impl Fn(usize) -> f64 {
    move |block| last * block as f64 / blocks.saturating_sub(1).max(1) as f64
}

/// Copies the parameters of the block `from` to the block `to`, of the same sizes, and gives the names of what was written.
///
/// # Errors
/// If either lacks a parameter.
pub(super) fn copy_block(parameters: &Parameters, from: (&str, &SwinBlock), to: (&str, &SwinBlock)) -> Result<Vec<String>> {
    let names = |(prefix, block): (&str, &SwinBlock)| -> Vec<String> {
        block.layers().iter().flat_map(Layer::shapes).map(|(name, _)| join(prefix, &name)).collect()
    };
    let copied = names(to);
    for (from, to) in names(from).iter().zip(&copied) {
        parameters.get(to)?.var.set(&parameters.get(from)?.var.as_detached_tensor())?;
    }
    Ok(copied)
}
