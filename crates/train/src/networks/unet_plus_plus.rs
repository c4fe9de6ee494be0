//! U-Net++ (Zhou et al. 2018) exactly as segmentation_models_pytorch 0.5 builds it, with its parameter names.

use super::decoder_block::{DecoderBlock, LEVELS, head, head_shapes, init_head};
use super::encoder::Encoder;
use super::segmentation_config::SegmentationConfig;
use super::segmentation_model::SegmentationModel;
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

/// An encoder, a decoder with dense skips, and a 3×3 convolution to one channel a class.
#[derive(Clone, Debug)]
pub(super) struct UnetPlusPlus {
    config: SegmentationConfig,
    encoder: Encoder,
}

impl UnetPlusPlus {
    /// The network that `config` names.
    pub(super) fn new(config: SegmentationConfig) -> Self {
        let encoder = Encoder::new(config.encoder.clone());
        UnetPlusPlus { config, encoder }
    }

    /// The encoder's features, the deepest last, for `x` `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If height or width is not a multiple of 32, or parameters are missing.
    fn features(&self, tape: &Tape<'_>, x: &Value) -> Result<[Value; 5]> {
        let (_, height, width, _) = x.tensor().dims4()?;
        if height % 32 != 0 || width % 32 != 0 || height * width == 0 {
            bail!("U-Net++ takes images whose sides are multiples of 32, not {height}×{width}; pad or crop them");
        }
        self.encoder.features(tape, "encoder", x)
    }

    /// Logits `[batch, height, width, classes]` from the encoder's features.
    ///
    /// # Errors
    /// If parameters are missing.
    fn decode(&self, tape: &Tape<'_>, mut features: [Value; 5]) -> Result<Value> {
        features.reverse();
        // dense[depth]: the latest output in the row that starts with x_{depth}_{depth}. skips[layer]: the outputs of
        // x_{layer}_{layer}, …, x_{1}_{layer}, in the order in which they are computed.
        let mut dense = Vec::with_capacity(LEVELS - 1);
        let mut skips: Vec<Vec<Value>> = Vec::with_capacity(LEVELS - 1);
        for depth in 0..LEVELS - 1 {
            let y = self.block(depth, depth).forward(tape, &features[depth], &[&features[depth + 1]])?;
            dense.push(y.clone());
            skips.push(vec![y]);
        }
        for step in 1..LEVELS - 1 {
            for (depth, newest) in dense.iter_mut().enumerate().take(LEVELS - 1 - step) {
                let layer = depth + step;
                // smp's order: x_{depth+1}_{layer} first, x_{layer}_{layer} after, the encoder's feature last.
                let inputs: Vec<&Value> = skips[layer].iter().rev().chain([&features[layer + 1]]).collect();
                let y = self.block(depth, layer).forward(tape, newest, &inputs)?;
                *newest = y.clone();
                skips[layer].push(y);
            }
        }
        let y = self.block(0, LEVELS - 1).forward(tape, &dense[0], &[])?;
        head(tape, &y)
    }

    /// The decoder's blocks, in smp's order.
    fn blocks(&self) -> impl Iterator<Item = DecoderBlock> {
        let dense = (0..LEVELS - 1).flat_map(|layer| (0..=layer).map(move |depth| (depth, layer)));
        dense.chain([(0, LEVELS - 1)]).map(|(depth, layer)| self.block(depth, layer))
    }

    /// Block `x_{depth}_{layer}`.
    fn block(&self, depth: usize, layer: usize) -> DecoderBlock {
        let decoder = self.config.unet_channels();
        let encoder = self.encoder.channels();
        // Channels of the encoder's feature that layer `layer` meets; the last layer, at full size, meets none.
        let skip = |layer: usize| if layer < LEVELS - 1 { encoder[LEVELS - 2 - layer] } else { 0 };
        let [channels_in, channels_out] = if depth == 0 {
            let before = if layer == 0 { encoder[LEVELS - 1] } else { decoder[layer - 1] };
            [before + skip(layer) * (layer + 1), decoder[layer]]
        } else {
            [skip(layer - 1) + skip(layer) * (layer + 1 - depth), skip(layer)]
        };
        DecoderBlock { name: format!("decoder.blocks.x_{depth}_{layer}"), channels_in, channels_out }
    }
}

impl SegmentationModel for UnetPlusPlus {
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
            bail!("U-Net++ needs at least one class and one channel a level");
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

    fn forward(net: &UnetPlusPlus, tape: &Tape<'_>, x: &Value) -> Result<Value> {
        SegmentationModel::forward(net, tape, x, &mut |_| Ok(()))
    }

    fn build(arch: Arch, width: usize) -> Result<(UnetPlusPlus, Parameters)> {
        let encoder = ResNetConfig { arch, width, variant: Variant::V15, in_channels: 3 };
        let net = UnetPlusPlus::new(SegmentationConfig {
            architecture: Architecture::UnetPlusPlus,
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
    fn logits_have_the_size_of_the_image() -> Result<()> {
        let (net, parameters) = build(Arch::ResNet18, 4)?;
        let tape = Tape::new(&parameters, Mode::Eval);
        let image = |height, width| Tensor::ones((1, height, width, 3), DType::F32, &Device::Cpu);
        assert_eq!(forward(&net, &tape, &tape.constant(image(32, 64)?))?.tensor().dims(), [1, 32, 64, 4]);
        let error = forward(&net, &tape, &tape.constant(image(48, 64)?)).unwrap_err().to_string();
        assert!(error.contains("multiples of 32, not 48×64"), "{error}");
        Ok(())
    }

    /// Counts of segmentation_models_pytorch 0.5.0.
    #[test]
    fn parameters_are_as_many_as_smps() -> Result<()> {
        let (_, parameters) = build(Arch::ResNet18, 64)?;
        assert_eq!((parameters.len(), parameters.count_trainable()), (254, 15_970_884));
        Ok(())
    }
}
