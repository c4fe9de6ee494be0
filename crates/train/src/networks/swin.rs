//! Swin transformers (Liu et al. 2021) with the parameter names of `microsoft/Swin-Transformer`, as encoders: no classifier.

use super::layer::Layer;
use super::swin_block::{EPSILON, SwinBlock, drop_paths};
use super::swin_config::{PATCH, SwinConfig};
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_data::MOST_CHANNELS;
use matssl_tensor::init::join;
use matssl_tensor::ops::{CellOrder, Conv2d};
use matssl_tensor::{Parameters, Tape, Value};

/// A Swin transformer without its classifier.
#[derive(Clone, Debug)]
pub(super) struct Swin {
    config: SwinConfig,
}

/// What the decoders of Swin-Unet and CS-UNet read of the encoder.
pub(super) struct SwinFeatures {
    /// The inputs of the first three stages: strides 4, 8 and 16.
    pub(super) skips: [Value; 3],
    /// The output of the last stage after its layer norm: stride 32.
    pub(super) last: Value,
}

impl Swin {
    /// The network that `config` names.
    pub(super) fn new(config: SwinConfig) -> Self {
        Swin { config }
    }

    /// What it was made from.
    pub(super) fn config(&self) -> &SwinConfig {
        &self.config
    }

    /// Channels at the strides 2, 4, 8, 16 and 32; there is nothing at stride 2.
    pub(super) fn channels(&self) -> [usize; 5] {
        let width = self.config.width;
        [0, width, 2 * width, 4 * width, 8 * width]
    }

    /// Names and shapes of all its tensors in PyTorch's layout, in the order of [`init`](Self::init).
    pub(super) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.layers().iter().flat_map(Layer::shapes).collect()
    }

    /// Adds the parameters under `prefix` with Swin's initial values: linear layers and tables of biases normal with deviation 0.02,
    /// biases 0; the convolution of the patches as PyTorch's.
    ///
    /// # Errors
    /// If a name is taken, or a size is out of range.
    pub(super) fn init(&self, parameters: &mut Parameters, prefix: &str, stream: &Stream) -> Result<()> {
        if let Err(message) = self.config.check() {
            bail!("a Swin transformer: {message}");
        }
        if !(1..=MOST_CHANNELS).contains(&self.config.in_channels) {
            bail!("a Swin transformer takes images of 1 to {MOST_CHANNELS} channels, not {}", self.config.in_channels);
        }
        self.layers().iter().try_for_each(|layer| layer.init(parameters, prefix, stream))
    }

    /// The outputs of the four stages (strides 4, 8, 16, 32), before patches are merged, the last one after the final layer norm,
    /// for `x` `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If parameters are missing, or the images do not consist of whole windows ([`SwinConfig::check_sides`]).
    pub(super) fn stages(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<[Value; 4]> {
        let first = self.stage(tape, prefix, 0, self.embed(tape, prefix, x)?)?;
        let second = self.stage(tape, prefix, 1, self.merge(tape, prefix, 0, &first)?)?;
        let third = self.stage(tape, prefix, 2, self.merge(tape, prefix, 1, &second)?)?;
        let last = self.stage(tape, prefix, 3, self.merge(tape, prefix, 2, &third)?)?;
        Ok([first, second, third, self.norm(tape, prefix, &last)?])
    }

    /// What Swin-Unet's decoder reads.
    ///
    /// # Errors
    /// As [`Swin::stages`].
    pub(super) fn features(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<SwinFeatures> {
        let stage = |stage: usize, x: &Value| {
            let y = self.stage(tape, prefix, stage, x.clone())?;
            self.merge(tape, prefix, stage, &y)
        };
        let first = self.embed(tape, prefix, x)?;
        let second = stage(0, &first)?;
        let third = stage(1, &second)?;
        let last = self.stage(tape, prefix, 3, stage(2, &third)?)?;
        Ok(SwinFeatures { skips: [first, second, third], last: self.norm(tape, prefix, &last)? })
    }

    /// The blocks of a stage.
    pub(super) fn blocks(&self, stage: usize) -> impl Iterator<Item = SwinBlock> + '_ {
        let SwinConfig { width, depths, heads, window, drop_path, mlp, .. } = self.config;
        let before: usize = depths[..stage].iter().sum();
        let drop_path = drop_paths(drop_path, depths.iter().sum());
        (0..depths[stage]).map(move |block| SwinBlock {
            name: format!("layers.{stage}.blocks.{block}"),
            number: (before + block) as u64,
            channels: width << stage,
            heads: heads << stage,
            window,
            is_shifted: block % 2 == 1,
            drop_path: drop_path(before + block),
            mlp,
        })
    }

    /// Number of blocks.
    pub(super) fn depth(&self) -> usize {
        self.config.depths.iter().sum()
    }

    /// The layer of the parameter `name`, as timm groups them: 0 for the patches, then one for each block. What merges patches
    /// belongs to the block after it, the last norm to the last block.
    pub(super) fn layer(&self, name: &str) -> usize {
        let before = |stage: usize| self.config.depths.iter().take(stage).sum::<usize>();
        let parts: Vec<&str> = name.split('.').collect();
        let number = |index: usize| parts.get(index).and_then(|part| part.parse::<usize>().ok()).unwrap_or(0);
        match parts[..] {
            ["layers", _, "blocks", ..] => before(number(1)) + number(3) + 1,
            ["layers", _, "downsample", ..] => before(number(1) + 1) + 1,
            ["norm", ..] => self.depth(),
            _ => 0,
        }
    }

    /// The images in patches: `[batch, height / 4, width / 4, width of the network]`.
    fn embed(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<Value> {
        let (_, height, width, _) = x.tensor().dims4()?;
        if let Err(message) = self.config.check_sides(height, width) {
            bail!("{message}");
        }
        let (weight, bias) = (join(prefix, "patch_embed.proj.weight"), join(prefix, "patch_embed.proj.bias"));
        let patches = tape.conv2d(x, &weight, Some(&bias), Conv2d::new(PATCH, 0))?;
        Ok(tape.keep(tape.layer_norm(&patches, &join(prefix, "patch_embed.norm"), EPSILON)?))
    }

    fn stage(&self, tape: &Tape<'_>, prefix: &str, stage: usize, mut x: Value) -> Result<Value> {
        for block in self.blocks(stage) {
            x = block.forward(tape, prefix, &x)?;
        }
        Ok(x)
    }

    /// Squares of four patches as one, of twice the channels.
    fn merge(&self, tape: &Tape<'_>, prefix: &str, stage: usize, x: &Value) -> Result<Value> {
        let cells = tape.merge_cells(x, 2, CellOrder::RowsFirst)?;
        let name = join(prefix, &format!("layers.{stage}.downsample"));
        let cells = tape.layer_norm(&cells, &join(&name, "norm"), EPSILON)?;
        Ok(tape.keep(tape.linear(&cells, &join(&name, "reduction.weight"), None)?))
    }

    fn norm(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<Value> {
        Ok(tape.keep(tape.layer_norm(x, &join(prefix, "norm"), EPSILON)?))
    }

    fn layers(&self) -> Vec<Layer> {
        let SwinConfig { width, in_channels, .. } = self.config;
        let mut layers = vec![
            Layer::Conv { name: "patch_embed.proj".into(), kernel: PATCH, channels: [in_channels, width], bias: true },
            Layer::Norm { name: "patch_embed.norm".into(), channels: width },
        ];
        for stage in 0..4 {
            layers.extend(self.blocks(stage).flat_map(|block| block.layers()));
            if stage < 3 {
                let (name, channels) = (format!("layers.{stage}.downsample"), 4 * (width << stage));
                let reduction = [channels, channels / 2];
                layers.push(Layer::Linear { name: join(&name, "reduction"), channels: reduction, bias: false });
                layers.push(Layer::Norm { name: join(&name, "norm"), channels });
            }
        }
        layers.push(Layer::Norm { name: "norm".into(), channels: 8 * width });
        layers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::Mode;

    fn narrow(depths: [usize; 4], window: usize) -> Swin {
        Swin::new(SwinConfig { width: 6, heads: 3, depths, window, drop_path: 0.0, ..SwinConfig::default() })
    }

    /// As many as torchvision's `swin_t` and Microsoft's Swin-T have without their classifier, name by name.
    #[test]
    fn parameters_are_those_of_swin_t() {
        let shapes = Swin::new(SwinConfig::default()).shapes();
        let count: usize = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!((shapes.len(), count), (171, 27_519_354));
        for (name, shape) in [
            ("patch_embed.proj.weight", &[96, 3, 4, 4][..]),
            ("patch_embed.norm.bias", &[96]),
            ("layers.0.blocks.1.attn.relative_position_bias_table", &[169, 3]),
            ("layers.1.blocks.0.attn.qkv.weight", &[576, 192]),
            ("layers.2.blocks.5.mlp.fc1.bias", &[1536]),
            ("layers.2.downsample.reduction.weight", &[768, 1536]),
            ("layers.2.downsample.norm.weight", &[1536]),
            ("layers.3.blocks.1.mlp.fc2.weight", &[768, 3072]),
            ("norm.weight", &[768]),
        ] {
            assert!(shapes.iter().any(|(n, s)| n == name && s == shape), "{name}");
        }
    }

    #[test]
    fn stages_have_the_channels_and_strides_they_say() -> Result<()> {
        for (window, height, width) in [(4, 128, 64), (8, 64, 64), (2, 64, 64)] {
            let swin = narrow([1, 1, 2, 1], window);
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
            swin.init(&mut parameters, "encoder", &Stream::new(0, "init", 0, 0))?;
            let expected = parameters.iter().map(|(name, parameter)| match parameter.var.dims() {
                &[h, w, i, o] => (name.to_owned(), vec![o, i, h, w]),
                other => (name.to_owned(), other.to_vec()),
            });
            let shapes = super::super::layer::prefixed("encoder", swin.shapes());
            assert_eq!(shapes.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            let tape = Tape::new(&parameters, Mode::Eval);
            let x = tape.constant(Tensor::ones((1, height, width, 3), DType::F32, &Device::Cpu)?);
            for (stage, value) in swin.stages(&tape, "encoder", &x)?.iter().enumerate() {
                let side = |side: usize| (side / PATCH) >> stage;
                assert_eq!(value.tensor().dims(), [1, side(height), side(width), swin.channels()[stage + 1]]);
            }
            let odd = tape.constant(Tensor::ones((1, 48, 64, 3), DType::F32, &Device::Cpu)?);
            let error = swin.stages(&tape, "encoder", &odd).unwrap_err().to_string();
            assert!(error.starts_with("images of 48×64 pixels do not consist of windows"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for (config, expected) in [
            (SwinConfig { heads: 5, ..SwinConfig::default() }, "heads = 5"),
            (SwinConfig { in_channels: 9, ..SwinConfig::default() }, "images of 1 to 8 channels, not 9"),
        ] {
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
            let error = Swin::new(config).init(&mut parameters, "", &Stream::new(0, "init", 0, 0)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
