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
        let x = tape.sum(x, &y)?;
        let u = tape.layer_norm(&x, &of("norm2"), EPSILON)?;
        let y = linear(&tape.gelu(&linear(&u, "mlp.fc1")?)?, "mlp.fc2")?;
        let y = match self.mlp {
            Mlp::Plain => y,
            Mlp::Residual => linear(&tape.gelu(&tape.sum(&y, &u)?)?, "mlp.fc3")?,
        };
        Ok(tape.keep(tape.sum(&x, &self.drop(tape, y, 1)?)?))
    }

    /// Drops the branch for some of the images in training, and scales it for the others (Huang et al. 2016). A block that is not
    /// trained, of a momentum network, drops nothing.
    fn drop(&self, tape: &Tape<'_>, y: Value, branch: u64) -> Result<Value> {
        if self.drop_path == 0.0 || tape.mode() != Mode::Train || tape.is_dry() || !y.needs_gradient() {
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
pub(super) fn copy_block(
    parameters: &Parameters,
    from: (&str, &SwinBlock),
    to: (&str, &SwinBlock),
) -> Result<Vec<String>> {
    let names = |(prefix, block): (&str, &SwinBlock)| -> Vec<String> {
        block.layers().iter().flat_map(Layer::shapes).map(|(name, _)| join(prefix, &name)).collect()
    };
    let copied = names(to);
    for (from, to) in names(from).iter().zip(&copied) {
        parameters.get(to)?.var.set(&parameters.get(from)?.var.as_detached_tensor())?;
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use matssl_base::random::Stream;

    const SIDE: usize = 8;

    fn block(is_shifted: bool, mlp: Mlp) -> Result<(SwinBlock, Parameters)> {
        let block = SwinBlock {
            name: "layers.0.blocks.1".into(),
            number: 1,
            channels: 6,
            heads: 3,
            window: 4,
            is_shifted,
            drop_path: 0.5,
            mlp,
        };
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        let stream = Stream::new(2, "block", 0, 0);
        block.layers().iter().try_for_each(|layer| layer.init(&mut parameters, "", &stream))?;
        // Ten times the initial spread, so that attention is far from uniform.
        for (_, parameter) in parameters.trainable() {
            parameter.var.set(&(parameter.var.as_detached_tensor() * 10.0)?)?;
        }
        Ok((block, parameters))
    }

    fn noise(batch: usize) -> Result<Tensor> {
        let mut stream = Stream::new(3, "block", 0, 0);
        let values: Vec<f64> = (0..batch * SIDE * SIDE * 6).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, (batch, SIDE, SIDE, 6), &Device::Cpu)
    }

    fn run(block: &SwinBlock, parameters: &Parameters, x: &Tensor) -> Result<Tensor> {
        let tape = Tape::new(parameters, Mode::Eval);
        Ok(block.forward(&tape, "", &tape.constant(x.clone()))?.tensor().clone())
    }

    fn apart(a: &Tensor, b: &Tensor) -> Result<f64> {
        (a - b)?.abs()?.max_all()?.to_scalar()
    }

    fn rolled(x: &Tensor, by: i32) -> Result<Tensor> {
        x.roll(by, 1)?.roll(by, 2)?.contiguous()
    }

    #[test]
    fn a_block_whose_branches_are_zero_is_the_identity() -> Result<()> {
        for (mlp, last) in [(Mlp::Plain, "fc2"), (Mlp::Residual, "fc3")] {
            let (block, parameters) = block(true, mlp)?;
            for name in ["attn.qkv", "attn.proj", &format!("mlp.{last}")] {
                for part in ["weight", "bias"] {
                    let parameter = parameters.get(&format!("layers.0.blocks.1.{name}.{part}"))?;
                    parameter.var.set(&parameter.var.zeros_like()?)?;
                }
            }
            let x = noise(2)?;
            assert_eq!(apart(&run(&block, &parameters, &x)?, &x)?, 0.0);
        }
        Ok(())
    }

    #[test]
    fn a_roll_by_whole_windows_commutes_with_an_unshifted_block() -> Result<()> {
        let (block, parameters) = block(false, Mlp::Residual)?;
        let x = noise(1)?;
        let y = run(&block, &parameters, &x)?;
        assert!(apart(&run(&block, &parameters, &rolled(&x, 4)?)?, &rolled(&y, 4)?)? < 1e-12);
        assert!(apart(&run(&block, &parameters, &rolled(&x, 2)?)?, &rolled(&y, 2)?)? > 1e-3);
        Ok(())
    }

    /// Patches of opposite edges share a window of the shifted grid, and do not see each other.
    #[test]
    fn shifted_windows_do_not_join_opposite_edges() -> Result<()> {
        let (block, parameters) = block(true, Mlp::Plain)?;
        let x = noise(1)?;
        let mut moved = x.flatten_all()?.to_vec1::<f64>()?;
        moved[0] += 3.0;
        let moved = Tensor::from_vec(moved, x.shape(), &Device::Cpu)?;
        let change = (run(&block, &parameters, &moved)? - run(&block, &parameters, &x)?)?.abs()?;
        for row in 0..SIDE {
            for column in 0..SIDE {
                let change = change.get(0)?.get(row)?.get(column)?.max_all()?.to_scalar::<f64>()?;
                // The first patch's own window is what the shift leaves of it in the corner.
                let sees = row < 2 && column < 2;
                assert!(if sees { change > 1e-6 } else { change < 1e-12 }, "{row}, {column}: {change}");
            }
        }
        Ok(())
    }

    #[test]
    fn branches_are_dropped_in_training_alone_and_the_same_for_the_same_stream() -> Result<()> {
        let (block, parameters) = block(true, Mlp::Plain)?;
        let x = noise(8)?;
        let with = |mode, stream: Option<u64>| -> Result<Tensor> {
            let tape = Tape::new(&parameters, mode);
            let tape = match stream {
                Some(seed) => tape.with_stream(Stream::new(seed, "drop path", 0, 0)),
                None => tape,
            };
            Ok(block.forward(&tape, "", &tape.constant(x.clone()))?.tensor().clone())
        };
        let still = with(Mode::Eval, None)?;
        assert_eq!(apart(&still, &with(Mode::Frozen, Some(1))?)?, 0.0);
        let trained = with(Mode::Train, Some(1))?;
        assert_eq!(apart(&trained, &with(Mode::Train, Some(1))?)?, 0.0);
        assert!(apart(&trained, &with(Mode::Train, Some(2))?)? > 0.0 && apart(&trained, &still)? > 0.0);
        // An image of which both branches are dropped is left as it is: of eight some, as each is dropped with one half.
        let kept = (0..8).map(|image| apart(&trained.get(image)?, &x.get(image)?)).collect::<Result<Vec<_>>>()?;
        assert!(kept.contains(&0.0) && kept.iter().any(|change| *change > 0.0), "{kept:?}");
        let error = with(Mode::Train, None).unwrap_err().to_string();
        assert!(error.contains("was given no random numbers"), "{error}");
        Ok(())
    }

    #[test]
    fn blocks_are_dropped_the_more_often_the_deeper() {
        let rate = drop_paths(0.3, 4);
        let rates = [rate(0), rate(1), rate(2), rate(3)];
        assert!(rates.iter().zip([0.0, 0.1, 0.2, 0.3]).all(|(a, b)| (a - b).abs() < 1e-15), "{rates:?}");
        assert_eq!(drop_paths(0.3, 1)(0), 0.0);
    }
}
