//! U-Net (Ronneberger et al. 2015) exactly as segmentation_models_pytorch 0.5 builds it, with its parameter names.

use super::decoder_block::{DecoderBlock, LEVELS, head, head_shapes, init_head};
use super::encoder::Encoder;
use super::segmentation_config::SegmentationConfig;
use super::segmentation_model::SegmentationModel;
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

/// An encoder, a decoder with one skip a level (no attention, nearest-neighbour upsampling), and a 3×3 convolution
/// to one channel a class.
#[derive(Clone, Debug)]
pub(super) struct Unet {
    config: SegmentationConfig,
    encoder: Encoder,
}

impl Unet {
    /// The network that `config` names.
    pub(super) fn new(config: SegmentationConfig) -> Self {
        let encoder = Encoder::new(config.encoder.clone());
        Unet { config, encoder }
    }

    /// The encoder's features, the deepest last, for `x` `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If height or width is not a multiple of 32, or parameters are missing.
    fn features(&self, tape: &Tape<'_>, x: &Value) -> Result<[Value; 5]> {
        let (_, height, width, _) = x.tensor().dims4()?;
        if height % 32 != 0 || width % 32 != 0 || height * width == 0 {
            bail!("U-Net takes images whose sides are multiples of 32, not {height}×{width}; pad or crop them");
        }
        self.encoder.features(tape, "encoder", x)
    }

    /// Logits `[batch, height, width, classes]` from the encoder's features.
    ///
    /// # Errors
    /// If parameters are missing.
    fn decode(&self, tape: &Tape<'_>, features: [Value; 5]) -> Result<Value> {
        let [stem, first, second, third, mut y] = features;
        // The last block, at full size, has no skip. Each feature is dropped after its use.
        let skips = [Some(third), Some(second), Some(first), Some(stem), None];
        for (block, skip) in self.blocks().zip(skips) {
            y = block.forward(tape, &y, &skip.iter().collect::<Vec<_>>())?;
        }
        head(tape, &y)
    }

    /// The decoder's blocks, deepest first.
    fn blocks(&self) -> impl Iterator<Item = DecoderBlock> {
        let ([stem, first, second, third, deepest], decoder) = (self.encoder.channels(), self.config.unet_channels());
        let before = [deepest, decoder[0], decoder[1], decoder[2], decoder[3]];
        let skips = [third, second, first, stem, 0];
        (0..LEVELS).map(move |level| DecoderBlock {
            name: format!("decoder.blocks.{level}"),
            channels_in: before[level] + skips[level],
            channels_out: decoder[level],
        })
    }
}

impl SegmentationModel for Unet {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let [.., last] = self.config.unet_channels();
        let encoder = self.encoder.shapes().into_iter().map(|(name, shape)| (format!("encoder.{name}"), shape));
        let blocks: Vec<DecoderBlock> = self.blocks().collect();
        let decoder = blocks.iter().flat_map(DecoderBlock::shapes);
        encoder.chain(decoder).chain(head_shapes(last, self.config.classes)).collect()
    }

    /// The encoder's parameters as [`Encoder::init`] (under `encoder`), the decoder's Kaiming uniform (fan in), the head's Xavier
    /// uniform with bias 0, as smp.
    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        let (decoder_channels, classes) = (self.config.unet_channels(), self.config.classes);
        if classes == 0 || decoder_channels.contains(&0) {
            bail!("U-Net needs at least one class and one channel a level");
        }
        self.encoder.init(parameters, "encoder", stream)?;
        for block in self.blocks() {
            block.init(parameters, stream)?;
        }
        init_head(parameters, decoder_channels[LEVELS - 1], classes, stream)
    }

    fn forward(&self, tape: &Tape<'_>, x: &Value, deepest: &mut dyn FnMut(&Value) -> Result<()>) -> Result<Value> {
        let features = self.features(tape, x)?;
        deepest(&features[4])?;
        self.decode(tape, features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::decoder_block::published_channels;
    use crate::networks::{Arch, Architecture, ResNetConfig, Variant};
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::Mode;

    fn forward(net: &Unet, tape: &Tape<'_>, x: &Value) -> Result<Value> {
        SegmentationModel::forward(net, tape, x, &mut |_| Ok(()))
    }

    fn build(width: usize) -> Result<(Unet, Parameters)> {
        let encoder = ResNetConfig { arch: Arch::ResNet18, width, variant: Variant::V15, in_channels: 3 };
        let net = Unet::new(SegmentationConfig {
            architecture: Architecture::Unet,
            encoder: encoder.into(),
            decoder_channels: Some(published_channels()),
            transformer: None,
            classes: 4,
        });
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        net.init(&mut parameters, &Stream::new(0, "init", 0, 0))?;
        Ok((net, parameters))
    }

    #[test]
    fn logits_have_the_size_of_the_image_and_every_parameter_a_gradient() -> Result<()> {
        let (net, parameters) = build(4)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let image = |height, width| Tensor::ones((2, height, width, 3), DType::F32, &Device::Cpu);
        let logits = forward(&net, &tape, &tape.constant(image(32, 64)?))?;
        assert_eq!(logits.tensor().dims(), [2, 32, 64, 4]);
        let seed = logits.tensor().ones_like()?;
        assert_eq!(tape.backward(vec![(logits, seed)])?.iter().count(), parameters.trainable().count());
        let tape = Tape::new(&parameters, Mode::Eval);
        let error = forward(&net, &tape, &tape.constant(image(48, 64)?)).unwrap_err().to_string();
        assert!(error.contains("multiples of 32, not 48×64"), "{error}");
        Ok(())
    }

    /// Counts and shapes of segmentation_models_pytorch 0.5.0.
    #[test]
    fn parameters_are_those_of_smps() -> Result<()> {
        let (_, parameters) = build(64)?;
        assert_eq!((parameters.len(), parameters.count_trainable()), (182, 14_328_644));
        for (name, shape) in [
            ("decoder.blocks.0.conv1.0.weight", [3, 3, 768, 256]),
            ("decoder.blocks.3.conv1.0.weight", [3, 3, 128, 32]),
            ("decoder.blocks.4.conv1.0.weight", [3, 3, 32, 16]),
            ("decoder.blocks.4.conv2.0.weight", [3, 3, 16, 16]),
            ("segmentation_head.0.weight", [3, 3, 16, 4]),
        ] {
            assert_eq!(parameters.tensor(name)?.dims(), shape, "{name}");
        }
        Ok(())
    }
}
