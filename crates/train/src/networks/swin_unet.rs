//! Swin-Unet (Cao et al. 2021) with the authors' parameter names: a Swin transformer and a decoder of its blocks.

use super::layer::prefixed;
use super::segmentation_model::SegmentationModel;
use super::swin::Swin;
use super::swin_config::SwinConfig;
use super::swin_decoder::SwinDecoder;
use candle_core::Result;
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

/// Where the encoder's parameters lie: at the top, as in the authors' files.
const ENCODER: &str = "";

/// A Swin transformer whose stages' inputs are the skips of a decoder with the same blocks.
#[derive(Debug)]
pub(super) struct SwinUnet {
    encoder: Swin,
    decoder: SwinDecoder,
}

impl SwinUnet {
    /// The network on the Swin transformer `encoder`, with `classes` outputs.
    pub(super) fn new(encoder: SwinConfig, classes: usize) -> Self {
        let encoder = Swin::new(encoder);
        SwinUnet { decoder: SwinDecoder::new(encoder.clone(), "", [0; 4], classes), encoder }
    }
}

impl SegmentationModel for SwinUnet {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        prefixed(ENCODER, self.encoder.shapes()).chain(self.decoder.shapes()).collect()
    }

    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        self.encoder.init(parameters, ENCODER, stream)?;
        self.decoder.init(parameters, stream)
    }

    fn forward(&self, tape: &Tape<'_>, x: &Value, deepest: &mut dyn FnMut(&Value) -> Result<()>) -> Result<Value> {
        let features = self.encoder.features(tape, ENCODER, x)?;
        deepest(&features.last)?;
        self.decoder.forward(tape, features, None)
    }

    fn encoder_prefix(&self) -> &'static str {
        ENCODER
    }

    fn copy_decoder_from_encoder(&self, parameters: &Parameters) -> Result<Vec<String>> {
        self.decoder.copy_from_encoder(parameters, ENCODER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::{Mode, footprint};

    fn narrow(drop_path: f64) -> SwinConfig {
        SwinConfig { width: 6, heads: 3, depths: [1, 2, 1, 1], window: 4, drop_path, ..SwinConfig::default() }
    }

    fn noise() -> Result<Tensor> {
        let mut stream = Stream::new(6, "noise", 0, 0);
        let values: Vec<f32> = (0..2 * 64 * 64 * 3).map(|_| stream.normal() as f32).collect();
        Tensor::from_vec(values, (2, 64, 64, 3), &Device::Cpu)
    }

    fn parameters(network: &SwinUnet, recompute: bool) -> Result<Parameters> {
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu).with_recompute(recompute);
        network.init(&mut parameters, &Stream::new(0, "init", 0, 0))?;
        Ok(parameters)
    }

    /// The authors' network has 27,168,900 values with nine classes; 1,536 more would be a second norm of the deepest map, as CS-UNet
    /// carries along unused.
    #[test]
    fn parameters_are_those_of_the_authors() {
        let count = |classes: usize, depths: [usize; 4]| -> usize {
            let network = SwinUnet::new(SwinConfig { depths, ..SwinConfig::default() }, classes);
            network.shapes().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
        };
        assert_eq!(count(9, [2, 2, 2, 2]), 27_168_900);
        assert_eq!(count(2, [2, 2, 2, 2]), 27_168_900 - 7 * 96);
        let shapes = SwinUnet::new(SwinConfig::default(), 9).shapes();
        for (name, shape) in [
            ("layers.3.blocks.1.attn.proj.weight", &[768, 768][..]),
            ("layers_up.0.expand.weight", &[1536, 768]),
            ("layers_up.0.norm.bias", &[384]),
            ("layers_up.1.blocks.5.attn.relative_position_bias_table", &[169, 12]),
            ("layers_up.2.upsample.expand.weight", &[384, 192]),
            ("layers_up.2.upsample.norm.weight", &[96]),
            ("layers_up.3.blocks.1.mlp.fc2.weight", &[96, 384]),
            ("concat_back_dim.1.weight", &[384, 768]),
            ("concat_back_dim.3.bias", &[96]),
            ("norm.weight", &[768]),
            ("norm_up.weight", &[96]),
            ("up.expand.weight", &[1536, 96]),
            ("up.norm.weight", &[96]),
            ("output.weight", &[9, 96, 1, 1]),
        ] {
            assert!(shapes.iter().any(|(n, s)| n == name && s == shape), "{name}");
        }
    }

    #[test]
    fn logits_have_the_size_of_the_image_and_every_parameter_a_gradient() -> Result<()> {
        let network = SwinUnet::new(narrow(0.0), 4);
        let parameters = parameters(&network, false)?;
        let tape = Tape::new(&parameters, Mode::Train);
        let logits = network.forward(&tape, &tape.input(&noise()?)?, &mut |_| Ok(()))?;
        assert_eq!(logits.tensor().dims(), [2, 64, 64, 4]);
        let seed = logits.tensor().ones_like()?;
        assert_eq!(tape.backward(vec![(logits, seed)])?.iter().count(), parameters.trainable().count());
        Ok(())
    }

    #[test]
    fn the_decoder_can_start_as_the_encoder() -> Result<()> {
        let network = SwinUnet::new(narrow(0.0), 2);
        let parameters = parameters(&network, false)?;
        let same = |a: &str, b: &str| -> Result<bool> {
            let difference = (parameters.tensor(a)?.detach() - parameters.tensor(b)?.detach())?;
            Ok(difference.abs()?.max_all()?.to_scalar::<f32>()? == 0.0)
        };
        let (from, to) = ("layers.1.blocks.1.attn.qkv.weight", "layers_up.2.blocks.1.attn.qkv.weight");
        assert!(!same(from, to)?);
        let copied = network.copy_decoder_from_encoder(&parameters)?;
        // Four blocks of thirteen tensors.
        assert_eq!(copied.len(), 4 * 13);
        assert!(same(from, to)? && copied.iter().any(|name| name == to));
        assert!(copied.iter().all(|name| name.starts_with("layers_up.")), "{copied:?}");
        Ok(())
    }

    /// Recomputation changes no bit of logits and gradients, with dropped paths too, and keeps less.
    #[test]
    fn recomputed_activations_give_the_same_bits() -> Result<()> {
        let network = SwinUnet::new(narrow(0.4), 2);
        let run = |recompute: bool| -> Result<_> {
            let parameters = parameters(&network, recompute)?;
            let forward = |tape: &Tape<'_>, x: &Value| network.forward(tape, x, &mut |_| Ok(()));
            let kept = footprint(&parameters, [2, 64, 64, 3], forward)?;
            let tape = Tape::new(&parameters, Mode::Train).with_stream(Stream::new(1, "drop path", 0, 0));
            let logits = forward(&tape, &tape.input(&noise()?)?)?;
            let mut found = vec![logits.tensor().flatten_all()?.to_vec1::<f32>()?];
            let seed = logits.tensor().sin()?;
            for (_, gradient) in tape.backward(vec![(logits, seed)])?.iter() {
                found.push(gradient.flatten_all()?.to_vec1()?);
            }
            Ok((found, kept))
        };
        let ((kept, whole), (again, less)) = (run(false)?, run(true)?);
        assert!(kept == again && kept.len() > 50);
        assert_eq!(whole.recomputed_bytes, 0);
        assert!(10 * less.saved_bytes < 6 * whole.saved_bytes, "{less:?} of {whole:?}");
        Ok(())
    }
}
