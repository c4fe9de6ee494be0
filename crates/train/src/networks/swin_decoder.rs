//! The decoder of Swin-Unet (Cao et al. 2021) and CS-UNet (Alrfou et al. 2023): patches are expanded where the encoder merges
//! them, joined with the features of the encoder (or of both encoders), and go through blocks of the encoder's kind.

use super::layer::Layer;
use super::swin::{Swin, SwinFeatures};
use super::swin_block::{EPSILON, SwinBlock, copy_block};
use super::swin_config::PATCH;
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::init::join;
use matssl_tensor::ops::{CellOrder, Conv2d};
use matssl_tensor::{Parameters, Tape, Value};

/// Levels of the decoder; all but the first have blocks.
const LEVELS: usize = 4;

/// The decoder, with the encoder whose sizes it has.
#[derive(Clone, Debug)]
pub(super) struct SwinDecoder {
    swin: Swin,
    /// What stands before its names.
    prefix: &'static str,
    /// Channels at the strides 4, 8, 16 and 32 of a second encoder, whose features join; 0 without one.
    beside: [usize; LEVELS],
    classes: usize,
}

impl SwinDecoder {
    /// The decoder of `swin`'s features, and of those of another encoder with `beside` channels at the strides 4, 8, 16 and 32.
    pub(super) fn new(swin: Swin, prefix: &'static str, beside: [usize; LEVELS], classes: usize) -> Self {
        SwinDecoder { swin, prefix, beside, classes }
    }

    /// Names and shapes (PyTorch's layout) of its parameters, in the order of [`SwinDecoder::init`].
    pub(super) fn shapes(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        super::layer::prefixed(self.prefix, self.layers().into_iter().flat_map(|layer| layer.shapes()))
    }

    /// Adds its parameters, with Swin's initial values.
    ///
    /// # Errors
    /// If a name is taken, or there is no class.
    pub(super) fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        if self.classes == 0 {
            bail!("a segmentation network needs at least one class");
        }
        self.layers().iter().try_for_each(|layer| layer.init(parameters, self.prefix, stream))
    }

    /// Copies the encoder's blocks, which lie below `encoder`, to the decoder's of the same width, as Swin-Unet's loader does:
    /// `layers.i` to `layers_up.(3 − i)` for i = 0, 1, 2. Gives the names of what was written.
    ///
    /// # Errors
    /// If parameters are missing.
    pub(super) fn copy_from_encoder(&self, parameters: &Parameters, encoder: &str) -> Result<Vec<String>> {
        let mut copied = Vec::new();
        for level in 1..LEVELS {
            for (from, to) in self.swin.blocks(LEVELS - 1 - level).zip(self.blocks(level)) {
                copied.extend(copy_block(parameters, (encoder, &from), (self.prefix, &to))?);
            }
        }
        Ok(copied)
    }

    /// Logits `[batch, 4 height, 4 width, classes]` from the encoder's features (of `height` × `width` patches) and those of the
    /// second encoder, strides 4, 8, 16 and 32.
    ///
    /// # Errors
    /// If parameters are missing or shapes do not fit.
    pub(super) fn forward(
        &self,
        tape: &Tape<'_>,
        features: SwinFeatures,
        beside: Option<[Value; LEVELS]>,
    ) -> Result<Value> {
        let SwinFeatures { skips: [first, second, third], last } = features;
        let mut beside: Vec<Option<Value>> = match beside {
            Some(beside) => beside.into_iter().map(Some).collect(),
            None => vec![None; LEVELS],
        };
        let mut y = join_with(tape, last, [None, beside.pop().flatten()])?;
        y = self.expand(tape, "layers_up.0", &y)?;
        // Each feature is dropped after its use.
        for (level, skip) in (1..LEVELS).zip([third, second, first]) {
            let joined = join_with(tape, y, [Some(skip), beside.pop().flatten()])?;
            let [weight, bias] = ["weight", "bias"].map(|name| self.name(&format!("concat_back_dim.{level}.{name}")));
            y = tape.keep(tape.linear(&joined, &weight, Some(&bias))?);
            for block in self.blocks(level) {
                y = block.forward(tape, self.prefix, &y)?;
            }
            if level < LEVELS - 1 {
                y = self.expand(tape, &format!("layers_up.{level}.upsample"), &y)?;
            }
        }
        self.head(tape, &tape.layer_norm(&y, &self.name("norm_up"), EPSILON)?)
    }

    /// Each patch as a square of four, of half the channels that the decoder has there.
    fn expand(&self, tape: &Tape<'_>, name: &str, x: &Value) -> Result<Value> {
        let y = tape.linear(x, &self.name(&join(name, "expand.weight")), None)?;
        let y = tape.expand_cells(&y, 2, CellOrder::RowMajor)?;
        Ok(tape.keep(tape.layer_norm(&y, &self.name(&join(name, "norm")), EPSILON)?))
    }

    /// Each patch as its 4 × 4 pixels, and a logit for each class. Norm and convolution read one pixel alone, so pixels take their
    /// places after them, when they have few channels.
    fn head(&self, tape: &Tape<'_>, x: &Value) -> Result<Value> {
        let (batch, height, width, channels) = x.tensor().dims4()?;
        let y = tape.linear(x, &self.name("up.expand.weight"), None)?;
        let y = tape.reshape(&y, &[batch, height, width * PATCH * PATCH, channels])?;
        let y = tape.layer_norm(&y, &self.name("up.norm"), EPSILON)?;
        let y = tape.conv2d(&y, &self.name("output.weight"), None, Conv2d::new(1, 0))?;
        let y = tape.reshape(&y, &[batch, height, width, PATCH * PATCH * self.classes])?;
        tape.expand_cells(&y, PATCH, CellOrder::RowMajor)
    }

    /// The blocks of a level: as many as the encoder has at this width, and dropped as often.
    fn blocks(&self, level: usize) -> impl Iterator<Item = SwinBlock> + '_ {
        let blocks: usize = self.swin.config().depths.iter().sum();
        self.swin.blocks(LEVELS - 1 - level).enumerate().map(move |(number, block)| SwinBlock {
            name: format!("layers_up.{level}.blocks.{number}"),
            number: block.number + blocks as u64,
            ..block
        })
    }

    fn name(&self, name: &str) -> String {
        join(self.prefix, name)
    }

    fn layers(&self) -> Vec<Layer> {
        let width = self.swin.config().width;
        let [.., deepest] = self.beside;
        let linear = |name: String, channels, bias| Layer::Linear { name, channels, bias };
        let expansion = |name: &str, from: usize, of: usize| {
            let norm = Layer::Norm { name: join(name, "norm"), channels: of / 2 };
            [linear(join(name, "expand"), [from, 2 * of], false), norm]
        };
        let mut layers = expansion("layers_up.0", 8 * width + deepest, 8 * width).to_vec();
        for level in 1..LEVELS {
            let channels = width << (LEVELS - 1 - level);
            let joined = 2 * channels + self.beside[LEVELS - 1 - level];
            layers.push(linear(format!("concat_back_dim.{level}"), [joined, channels], true));
            layers.extend(self.blocks(level).flat_map(|block| block.layers()));
            if level < LEVELS - 1 {
                layers.extend(expansion(&format!("layers_up.{level}.upsample"), channels, channels));
            }
        }
        let (name, channels) = ("output".into(), [width, self.classes]);
        layers.extend([
            Layer::Norm { name: "norm_up".into(), channels: width },
            linear("up.expand".into(), [width, PATCH * PATCH * width], false),
            Layer::Norm { name: "up.norm".into(), channels: width },
            Layer::Conv { name, kernel: 1, channels, bias: false },
        ]);
        layers
    }
}

/// `first` and those of the others that there are, along channels.
fn join_with(tape: &Tape<'_>, first: Value, others: [Option<Value>; 2]) -> Result<Value> {
    let values: Vec<Value> = [Some(first)].into_iter().chain(others).flatten().collect();
    match &values[..] {
        [alone] => Ok(alone.clone()),
        several => tape.concat(&several.iter().collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::Mode;

    /// Patches are expanded row by row and merged column by column: the middle two of each square change places.
    #[test]
    fn what_is_expanded_is_merged_again_in_swins_order() -> Result<()> {
        let parameters = Parameters::new(DType::F64, &Device::Cpu);
        let tape = Tape::new(&parameters, Mode::Eval);
        let values: Vec<f64> = (0..2 * 3 * 8).map(f64::from).collect();
        let x = Tensor::from_vec(values, (1, 2, 3, 8), &Device::Cpu)?;
        let pixels = tape.expand_cells(&tape.constant(x.clone()), 2, CellOrder::RowMajor)?;
        assert_eq!(pixels.tensor().dims(), [1, 4, 6, 2]);
        let merged = tape.merge_cells(&pixels, 2, CellOrder::RowsFirst)?.tensor().clone();
        let parts = [0, 4, 2, 6].map(|first| merged.narrow(3, first, 2));
        let [a, b, c, d] = parts.map(|part| part.unwrap());
        let again = Tensor::cat(&[a, b, c, d], 3)?;
        assert_eq!((again - x)?.abs()?.max_all()?.to_scalar::<f64>()?, 0.0);
        Ok(())
    }
}
