//! A segmentation network of any architecture.

use super::cs_unet::CsUnet;
use super::encoder::Encoder;
use super::encoder_config::EncoderConfig;
use super::hypercolumn::Hypercolumn;
use super::misfit::Misfit;
use super::patch_head::{HeadKind, PatchHead};
use super::segmentation_config::{Architecture, SegmentationConfig};
use super::segmentation_model::SegmentationModel;
use super::swin_unet::SwinUnet;
use super::unet::Unet;
use super::unet_plus_plus::UnetPlusPlus;
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::init::join;
use matssl_tensor::{Parameters, Tape, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A network from images to a logit for each class and pixel.
#[derive(Clone, Debug)]
pub struct SegmentationNetwork {
    config: SegmentationConfig,
    model: Arc<dyn SegmentationModel>,
}

impl SegmentationNetwork {
    /// The network that `config` names. One that [`SegmentationConfig::check`] refuses has no parameters, and no image fits it.
    pub fn new(config: SegmentationConfig) -> Self {
        let model: Arc<dyn SegmentationModel> = match (config.architecture, &config.encoder) {
            (Architecture::UnetPlusPlus, _) => Arc::new(UnetPlusPlus::new(config.clone())),
            (Architecture::Unet, _) => Arc::new(Unet::new(config.clone())),
            (Architecture::Linear, _) => Arc::new(PatchHead::new(&config, HeadKind::Linear)),
            (Architecture::Conv, _) => Arc::new(PatchHead::new(&config, HeadKind::Convolutional)),
            (Architecture::Hypercolumn, _) => Arc::new(Hypercolumn::new(&config)),
            (Architecture::SwinUnet, EncoderConfig::Swin(encoder)) => {
                Arc::new(SwinUnet::new(encoder.clone(), config.classes))
            }
            (Architecture::SwinUnet, _) => Arc::new(Misfit(config.check().err().unwrap_or_default())),
            (Architecture::CsUnet, encoder) => {
                let transformer = config.transformer().swin(encoder.in_channels());
                Arc::new(CsUnet::new(transformer, Encoder::new(encoder.clone()), config.classes))
            }
        };
        SegmentationNetwork { config, model }
    }

    /// What it was made from.
    pub fn config(&self) -> &SegmentationConfig {
        &self.config
    }

    /// Where the parameters of the [encoder](SegmentationConfig::encoder) lie; nothing if they have no prefix.
    pub fn encoder_prefix(&self) -> &'static str {
        self.model.encoder_prefix()
    }

    /// Copies the blocks of Swin-Unet's or CS-UNet's transformer to the decoder's blocks of the same width (`layers.i` to
    /// `layers_up.(3 − i)`), as Swin-Unet's loader does with pretrained weights. Gives the names of what was written.
    ///
    /// # Errors
    /// If the decoder has no such blocks, or parameters are missing.
    pub fn copy_decoder_from_encoder(&self, parameters: &Parameters) -> Result<Vec<String>> {
        self.model.copy_decoder_from_encoder(parameters)
    }

    /// Names and shapes (PyTorch's layout) of all parameters, in their order.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.model.shapes()
    }

    /// The factors of the learning rate by the parameter's name: `factor` for the encoder (of CS-UNet both encoders), which also falls
    /// by `decay` from layer to layer towards the image. With `n` layers, counted from 0, layer i has `decay` to the power of (n - i):
    /// the stem and the four stages of a ResNet, the patches and the blocks of a transformer. Decoder and head have the whole
    /// rate and are not named.
    pub fn rate_factors(&self, factor: f64, decay: f64) -> BTreeMap<String, f64> {
        let first = (Encoder::new(self.config.encoder.clone()), self.encoder_prefix());
        let of_encoder = |(encoder, prefix): (Encoder, &'static str)| {
            let shapes = encoder.shapes().into_iter();
            shapes.map(move |(name, _)| (join(prefix, &name), factor * encoder.rate_factor(&name, decay)))
        };
        [Some(first), self.model.second_encoder()].into_iter().flatten().flat_map(of_encoder).collect()
    }

    /// Adds all parameters with their published initial values.
    ///
    /// # Errors
    /// If a name is taken, or a number of channels or classes is 0.
    pub fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        self.model.init(parameters, stream)
    }

    /// Logits `[batch, height, width, classes]` for `x` `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If height or width does not fit ([`SegmentationConfig::check_side`]), or parameters are missing.
    pub fn forward(&self, tape: &Tape<'_>, x: &Value) -> Result<Value> {
        self.model.forward(tape, x, &mut |_| Ok(()))
    }

    /// As [`SegmentationNetwork::forward`], with the mean over the pixels of the encoder's deepest feature:
    /// `[batch, channels]`.
    ///
    /// # Errors
    /// As [`SegmentationNetwork::forward`].
    pub fn forward_with_embedding(&self, tape: &Tape<'_>, x: &Value) -> Result<(Value, Value)> {
        let mut embedding = None;
        let logits = self.model.forward(tape, x, &mut |deepest| {
            embedding = Some(tape.global_average_pool(deepest)?);
            Ok(())
        })?;
        match embedding {
            Some(embedding) => Ok((logits, embedding)),
            None => bail!("the network has shown no map of its encoder"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::{Mode, footprint};

    fn network(architecture: &str, in_channels: usize) -> Result<(SegmentationNetwork, Parameters)> {
        let text = format!(
            r#"{{"architecture":"{architecture}","encoder":{{"arch":"resnet18","width":4,"in_channels":{in_channels}}},"decoder_channels":[8,8,4,4,4],"classes":3}}"#
        );
        let network = SegmentationNetwork::new(serde_json::from_str(&text).unwrap());
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        network.init(&mut parameters, &Stream::new(5, "channels", 0, 0))?;
        Ok((network, parameters))
    }

    fn noise(channels: usize) -> Result<Tensor> {
        let mut stream = Stream::new(6, "channels", 0, 0);
        Tensor::from_vec(
            (0..2 * 32 * 32 * channels).map(|_| stream.normal()).collect(),
            (2, 32, 32, channels),
            &Device::Cpu,
        )
    }

    #[test]
    fn shapes_are_those_of_the_parameters() -> Result<()> {
        for architecture in ["unet++", "unet"] {
            let (network, parameters) = network(architecture, 2)?;
            let expected = parameters.iter().map(|(name, parameter)| {
                let shape = match parameter.var.dims() {
                    &[height, width, channels_in, channels_out] => vec![channels_out, channels_in, height, width],
                    other => other.to_vec(),
                };
                (name.to_owned(), shape)
            });
            assert_eq!(network.shapes(), expected.collect::<Vec<_>>());
        }
        Ok(())
    }

    #[test]
    fn a_network_of_any_number_of_channels_takes_a_step() -> Result<()> {
        for (architecture, in_channels) in [("unet++", 1), ("unet", 2), ("unet++", 2), ("unet", 5)] {
            let (network, parameters) = network(architecture, in_channels)?;
            let tape = Tape::new(&parameters, Mode::Train);
            let logits = network.forward(&tape, &tape.input(&noise(in_channels)?)?)?;
            assert_eq!(logits.tensor().dims(), [2, 32, 32, 3]);
            let seed = logits.tensor().sin()?;
            let gradients = tape.backward(vec![(logits, seed)])?;
            assert_eq!(gradients.iter().count(), parameters.trainable().count());
            let first = gradients.get("encoder.conv1.weight").unwrap();
            assert_eq!(first.dims(), [7, 7, in_channels, 4]);
            // Every channel is seen.
            for channel in 0..in_channels {
                let of_channel = first.narrow(2, channel, 1)?.abs()?.sum_all()?.to_scalar::<f64>()?;
                assert!(of_channel > 0.0, "{architecture}: channel {channel} of {in_channels}");
            }
            let tape = Tape::new(&parameters, Mode::Train);
            assert!(network.forward(&tape, &tape.input(&noise(in_channels + 1)?)?).is_err());
        }
        Ok(())
    }

    /// The logits are those of [`SegmentationNetwork::forward`], and the embedding is that of the encoder alone.
    #[test]
    fn an_embedding_comes_with_the_logits() -> Result<()> {
        for architecture in ["unet++", "unet"] {
            let (network, parameters) = network(architecture, 3)?;
            let tape = Tape::new(&parameters, Mode::Eval);
            let x = tape.input(&noise(3)?)?;
            let values = |value: &Value| value.tensor().flatten_all()?.to_vec1::<f64>();
            let (logits, embedding) = network.forward_with_embedding(&tape, &x)?;
            assert_eq!(values(&logits)?, values(&network.forward(&tape, &x)?)?);
            assert_eq!(embedding.tensor().dims(), [2, 32]);
            let last = Encoder::new(network.config().encoder.clone()).deepest(&tape, "encoder", &x)?;
            let mean = last.tensor().mean((1, 2))?.flatten_all()?.to_vec1::<f64>()?;
            let difference = values(&embedding)?.iter().zip(&mean).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(difference < 1e-12 && mean.iter().any(|value| *value > 0.0), "{architecture}: {difference}");
        }
        Ok(())
    }

    /// Every parameter of the encoder has a factor, and no other.
    #[test]
    fn factors_are_those_of_the_encoders_layers() {
        let factors = |architecture: &str, encoder: &str, more: &str| {
            let text = format!(r#"{{"architecture":"{architecture}","encoder":{encoder},"classes":3{more}}}"#);
            let network = SegmentationNetwork::new(serde_json::from_str(&text).unwrap());
            let known: Vec<String> = network.shapes().into_iter().map(|(name, _)| name).collect();
            let factors = network.rate_factors(2.0, 0.5);
            assert!(factors.keys().all(|name| known.contains(name)), "{architecture}");
            move |name: &str| factors.get(name).copied()
        };
        let unet = r#","decoder_channels":[8,8,4,4,4]"#;
        let resnet = factors("unet", r#"{"arch":"resnet18","width":4}"#, unet);
        for (name, factor) in [
            ("encoder.conv1.weight", Some(2.0 / 32.0)),
            ("encoder.bn1.bias", Some(2.0 / 32.0)),
            ("encoder.layer1.1.conv2.weight", Some(2.0 / 16.0)),
            ("encoder.layer4.0.downsample.0.weight", Some(1.0)),
            ("decoder.blocks.0.conv1.0.weight", None),
            ("segmentation_head.0.bias", None),
        ] {
            assert_eq!(resnet(name), factor, "{name}");
        }
        let se = factors("unet++", r#"{"arch":"se-resnet50","width":16}"#, unet);
        assert_eq!(se("encoder.layer0.conv1.weight"), Some(2.0 / 32.0));
        assert_eq!(se("encoder.layer2.0.se_module.fc1.bias"), Some(2.0 / 8.0));
        // timm's groups: patches, blocks 0 to 11; what merges patches goes with the next block.
        let swin = factors("swin-unet", r#"{"arch":"swin-tiny"}"#, "");
        let at = |layer: i32| Some(2.0 * 0.5f64.powi(13 - layer));
        for (name, factor) in [
            ("patch_embed.norm.weight", at(0)),
            ("layers.0.blocks.1.norm1.weight", at(2)),
            ("layers.0.downsample.reduction.weight", at(3)),
            ("layers.2.blocks.5.mlp.fc1.weight", at(10)),
            ("layers.3.blocks.1.attn.proj.bias", at(12)),
            ("norm.weight", at(12)),
            ("norm_up.weight", None),
        ] {
            assert_eq!(swin(name), factor, "{name}");
        }
        let both = factors("cs-unet", r#"{"arch":"resnet18"}"#, r#","transformer":{}"#);
        assert_eq!(both("cnn.cnn_encoder.layer4.0.conv1.weight"), Some(1.0));
        assert!(both("encoder.patch_embed.proj.weight").is_some_and(|factor| factor < 0.01));
    }

    /// Batch norms of the encoder whose statistics are frozen are those of a prediction, and their scales are trained.
    #[test]
    fn frozen_norms_keep_their_statistics() -> Result<()> {
        let (network, parameters) = network("unet", 3)?;
        let x = noise(3)?;
        let pass = |parameters: &Parameters, mode: Mode| -> Result<Vec<f64>> {
            let tape = Tape::new(parameters, mode);
            Encoder::new(network.config().encoder.clone())
                .deepest(&tape, "encoder", &tape.input(&x)?)?
                .tensor()
                .flatten_all()?
                .to_vec1()
        };
        // Statistics that are not those of the batch.
        pass(&parameters, Mode::Train)?;
        let parameters = parameters.with_frozen_norms("encoder");
        let statistics = |prefix: &str| -> Result<Vec<Vec<f64>>> {
            let of = |(name, _): &(&str, _)| name.starts_with(prefix) && name.ends_with("running_mean");
            parameters.iter().filter(of).map(|(_, buffer)| buffer.var.flatten_all()?.to_vec1()).collect()
        };
        let before = [statistics("encoder")?, statistics("decoder")?];
        let tape = Tape::new(&parameters, Mode::Train);
        let logits = network.forward(&tape, &tape.input(&x)?)?;
        let seed = logits.tensor().sin()?;
        let gradients = tape.backward(vec![(logits, seed)])?;
        assert!(statistics("encoder")? == before[0] && statistics("decoder")? != before[1]);
        assert_eq!(gradients.iter().count(), parameters.trainable().count());
        let scale = gradients.get("encoder.layer2.0.bn1.weight").unwrap();
        assert!(scale.abs()?.max_all()?.to_scalar::<f64>()? > 0.0);
        let (trained, predicted) = (pass(&parameters, Mode::Train)?, pass(&parameters, Mode::Eval)?);
        let close = trained.iter().zip(&predicted).all(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs()));
        assert!(close, "the training's encoder is that of the prediction");
        Ok(())
    }

    /// Grey shown as RGB to a first convolution, and grey shown to the sum of it; two channels of noise, and the same with a third
    /// one that has no weights.
    #[test]
    fn networks_of_different_channels_agree_where_their_first_convolutions_do() -> Result<()> {
        let (three, parameters) = network("unet", 3)?;
        let logits = |network: &SegmentationNetwork, parameters: &Parameters, x: &Tensor| -> Result<Vec<f64>> {
            let tape = Tape::new(parameters, Mode::Eval);
            network.forward(&tape, &tape.input(x)?)?.tensor().flatten_all()?.to_vec1()
        };
        let close = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        let weight = parameters.tensor("encoder.conv1.weight")?;
        let with = |in_channels: usize, weight: &Tensor| -> Result<(SegmentationNetwork, Parameters)> {
            let (network, own) = network("unet", in_channels)?;
            for (name, parameter) in own.iter() {
                let value = if name == "encoder.conv1.weight" { weight } else { parameters.tensor(name)? };
                parameter.var.set(value)?;
            }
            Ok((network, own))
        };
        let grey = noise(1)?;
        let (one, summed) = with(1, &weight.sum_keepdim(2)?)?;
        let rgb = Tensor::cat(&[&grey, &grey, &grey], 3)?;
        assert!(close(&logits(&one, &summed, &grey)?, &logits(&three, &parameters, &rgb)?));
        let five = noise(5)?;
        let padded = Tensor::cat(&[&weight.zeros_like()?, &weight.narrow(2, 0, 2)?], 2)?;
        let (network, padded) = with(5, &padded)?;
        let (two, first) = with(2, &weight.narrow(2, 0, 2)?.contiguous()?)?;
        let last = five.narrow(3, 3, 2)?.contiguous()?;
        assert!(close(&logits(&network, &padded, &five)?, &logits(&two, &first, &last)?));
        assert!(!close(
            &logits(&network, &padded, &five)?,
            &logits(&two, &first, &five.narrow(3, 2, 2)?.contiguous()?)?
        ));
        Ok(())
    }

    /// Recomputation changes no bit of output, gradients or statistics, and keeps less.
    #[test]
    fn recomputed_activations_give_the_same_bits() -> Result<()> {
        for (architecture, arch) in [("unet++", "resnet50"), ("unet", "resnet18")] {
            let text = format!(
                r#"{{"architecture":"{architecture}","encoder":{{"arch":"{arch}","width":4}},"decoder_channels":[8,8,4,4,4],"classes":3}}"#
            );
            let network = SegmentationNetwork::new(serde_json::from_str(&text).unwrap());
            let run = |recompute: bool| -> Result<_> {
                let mut parameters = Parameters::new(DType::F32, &Device::Cpu).with_recompute(recompute);
                network.init(&mut parameters, &Stream::new(3, "recompute", 0, 0))?;
                let mut stream = Stream::new(4, "recompute", 0, 0);
                let x: Vec<f32> = (0..2 * 64 * 64 * 3).map(|_| stream.normal() as f32).collect();
                let x = Tensor::from_vec(x, (2, 64, 64, 3), &Device::Cpu)?;
                let kept = footprint(&parameters, [2, 64, 64, 3], |tape, x| network.forward(tape, x))?;
                let tape = Tape::new(&parameters, Mode::Train);
                let logits = network.forward(&tape, &tape.input(&x)?)?;
                let mut found = vec![logits.tensor().flatten_all()?.to_vec1::<f32>()?];
                let seed = logits.tensor().sin()?;
                for (_, gradient) in tape.backward(vec![(logits, seed)])?.iter() {
                    found.push(gradient.flatten_all()?.to_vec1()?);
                }
                for (_, buffer) in parameters.iter().filter(|(name, _)| name.contains("running")) {
                    found.push(buffer.var.flatten_all()?.to_vec1()?);
                }
                Ok((found, kept))
            };
            let ((kept, whole), (again, less)) = (run(false)?, run(true)?);
            assert!(kept == again && kept.len() > 100, "{architecture}");
            assert_eq!(whole.recomputed_bytes, 0);
            assert!(10 * less.saved_bytes < 6 * whole.saved_bytes, "{architecture}: {less:?} of {whole:?}");
        }
        Ok(())
    }
}
