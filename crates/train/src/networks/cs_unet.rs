//! CS-UNet (Alrfou et al. 2023) with the authors' parameter names: a Swin transformer and a convolutional encoder side by side,
//! and one decoder of windows for both.
//!
//! Three kinds of tensors of the authors' files have no place here: `patch_embed.*` is `encoder.patch_embed.*` under another name,
//! `decoder.patch_embed.*` and `decoder.norm.*` are read by nothing, and indices and masks are computed.

use super::encoder::Encoder;
use super::encoder_config::EncoderConfig;
use super::layer::prefixed;
use super::segmentation_model::SegmentationModel;
use super::swin::Swin;
use super::swin_config::SwinConfig;
use super::swin_decoder::SwinDecoder;
use candle_core::Result;
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

/// Where the transformer's parameters lie.
const TRANSFORMER: &str = "encoder";
/// Where the convolutional encoder's parameters lie.
const CONVOLUTIONS: &str = "cnn.cnn_encoder";
/// Where the decoder's parameters lie.
const DECODER: &str = "decoder";

/// Two encoders of the same images, whose features are joined at each stride and decoded.
#[derive(Debug)]
pub(super) struct CsUnet {
    transformer: Swin,
    convolutions: Encoder,
    decoder: SwinDecoder,
}

impl CsUnet {
    /// The network of `transformer` and the convolutional encoder `convolutions`, with `classes` outputs.
    pub(super) fn new(transformer: SwinConfig, convolutions: Encoder, classes: usize) -> Self {
        let transformer = Swin::new(transformer);
        let [_, beside @ ..] = convolutions.channels();
        CsUnet { decoder: SwinDecoder::new(transformer.clone(), DECODER, beside, classes), transformer, convolutions }
    }
}

impl SegmentationModel for CsUnet {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let transformer = prefixed(TRANSFORMER, self.transformer.shapes());
        transformer.chain(prefixed(CONVOLUTIONS, self.convolutions.shapes())).chain(self.decoder.shapes()).collect()
    }

    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        self.transformer.init(parameters, TRANSFORMER, stream)?;
        self.convolutions.init(parameters, CONVOLUTIONS, stream)?;
        self.decoder.init(parameters, stream)
    }

    fn forward(&self, tape: &Tape<'_>, x: &Value, deepest: &mut dyn FnMut(&Value) -> Result<()>) -> Result<Value> {
        let features = self.transformer.features(tape, TRANSFORMER, x)?;
        let beside = self.convolutions.stages(tape, CONVOLUTIONS, x)?;
        deepest(&beside[3])?;
        self.decoder.forward(tape, features, Some(beside))
    }

    fn encoder_prefix(&self) -> &'static str {
        CONVOLUTIONS
    }

    fn second_encoder(&self) -> Option<(Encoder, &'static str)> {
        Some((Encoder::new(EncoderConfig::Swin(self.transformer.config().clone())), TRANSFORMER))
    }

    fn copy_decoder_from_encoder(&self, parameters: &Parameters) -> Result<Vec<String>> {
        self.decoder.copy_from_encoder(parameters, TRANSFORMER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::{Arch, ResNetConfig, TransformerBranch, Variant};
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::Mode;

    fn resnet(arch: Arch, width: usize) -> Encoder {
        Encoder::new(ResNetConfig { arch, width, variant: Variant::V15, in_channels: 3 })
    }

    /// Tensors of the authors' decoder that nothing reads: `decoder.patch_embed.*` and `decoder.norm.*`.
    const UNREAD: usize = 4_896 + 1_536;

    /// Counts of the authors' network with two classes and ResNet-50, part by part.
    #[test]
    fn parameters_are_those_of_the_authors() {
        for (depths, window, transformer, decoder) in [
            ([2, 2, 2, 2], 7, 21_982_986, 10_811_514),
            ([2, 2, 6, 2], 7, 29_680_314, 18_508_842),
            ([2, 2, 2, 2], 8, 21_988_026, 10_813_866),
            ([2, 2, 6, 2], 8, 29_688_042, 18_513_882),
        ] {
            let branch = TransformerBranch { depths, window, ..TransformerBranch::default() };
            let network = CsUnet::new(branch.swin(3), resnet(Arch::ResNet50, 64), 2);
            let is_counted = |name: &str| !name.contains("running_") && !name.ends_with("num_batches_tracked");
            let below = |prefix: &str| -> usize {
                let shapes = network.shapes().into_iter();
                let below = shapes.filter(|(name, _)| name.starts_with(prefix) && is_counted(name));
                below.map(|(_, shape)| shape.iter().product::<usize>()).sum()
            };
            assert_eq!(below("encoder."), transformer, "{depths:?}, window {window}");
            assert_eq!(below("cnn.cnn_encoder."), 23_508_032);
            assert_eq!(below("decoder.") + UNREAD, decoder, "{depths:?}, window {window}");
            assert_eq!(below("") + UNREAD, transformer + decoder + 23_508_032);
        }
    }

    #[test]
    fn names_are_the_authors() {
        let network = CsUnet::new(TransformerBranch::default().swin(3), resnet(Arch::ResNet50, 64), 2);
        let shapes = network.shapes();
        for (name, shape) in [
            ("encoder.patch_embed.proj.weight", &[96, 3, 4, 4][..]),
            ("encoder.layers.2.blocks.5.mlp.fc3.weight", &[384, 384]),
            ("encoder.layers.0.blocks.0.attn.relative_position_bias_table", &[225, 3]),
            ("encoder.norm.weight", &[768]),
            ("cnn.cnn_encoder.layer4.2.conv3.weight", &[2048, 512, 1, 1]),
            ("decoder.layers_up.0.expand.weight", &[1536, 768 + 2048]),
            ("decoder.layers_up.0.norm.weight", &[384]),
            ("decoder.concat_back_dim.1.weight", &[384, 768 + 1024]),
            ("decoder.concat_back_dim.2.weight", &[192, 384 + 512]),
            ("decoder.concat_back_dim.3.weight", &[96, 192 + 256]),
            ("decoder.layers_up.1.blocks.5.mlp.fc3.bias", &[384]),
            ("decoder.layers_up.1.upsample.expand.weight", &[768, 384]),
            ("decoder.norm_up.weight", &[96]),
            ("decoder.up.expand.weight", &[1536, 96]),
            ("decoder.output.weight", &[2, 96, 1, 1]),
        ] {
            assert!(shapes.iter().any(|(n, s)| n == name && s == shape), "{name}");
        }
    }

    #[test]
    fn both_encoders_learn() -> Result<()> {
        let branch = TransformerBranch {
            width: 6,
            heads: 3,
            depths: [1, 1, 2, 1],
            window: 4,
            drop_path: 0.1,
            ..TransformerBranch::default()
        };
        let network = CsUnet::new(branch.swin(3), resnet(Arch::ResNet18, 4), 3);
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        network.init(&mut parameters, &Stream::new(0, "init", 0, 0))?;
        let tape = Tape::new(&parameters, Mode::Train).with_stream(Stream::new(1, "drop path", 0, 0));
        let mut stream = Stream::new(6, "noise", 0, 0);
        let values: Vec<f32> = (0..2 * 64 * 64 * 3).map(|_| stream.normal() as f32).collect();
        let x = tape.input(&Tensor::from_vec(values, (2, 64, 64, 3), &Device::Cpu)?)?;
        let mut deepest = Vec::new();
        let logits = network.forward(&tape, &x, &mut |map| {
            deepest = map.tensor().dims().to_vec();
            Ok(())
        })?;
        assert_eq!((logits.tensor().dims(), &deepest[..]), (&[2, 64, 64, 3][..], &[2, 2, 2, 32][..]));
        let seed = logits.tensor().sin()?;
        let gradients = tape.backward(vec![(logits, seed)])?;
        assert_eq!(gradients.iter().count(), parameters.trainable().count());
        for name in ["encoder.patch_embed.proj.weight", "cnn.cnn_encoder.conv1.weight"] {
            let gradient = gradients.get(name).unwrap();
            assert!(gradient.abs()?.max_all()?.to_scalar::<f32>()? > 0.0, "{name}");
        }
        Ok(())
    }
}
