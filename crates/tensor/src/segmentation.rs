//! The choice of a segmentation network: what experiments and model files name, behind one face.

use super::decoder_block::{LEVELS, published_channels};
use super::resnet::ResNetConfig;
use super::unet::{Unet, UnetConfig};
use super::unet_plus_plus::{UnetPlusPlus, UnetPlusPlusConfig};
use super::{Parameters, Tape, Value};
use candle_core::Result;
use matssl_base::random::Stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The decoder around an encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Architecture {
    /// Zhou et al. 2018, as in segmentation_models_pytorch.
    #[default]
    #[serde(rename = "unet++")]
    UnetPlusPlus,
    /// Ronneberger et al. 2015, as in segmentation_models_pytorch.
    #[serde(rename = "unet")]
    Unet,
}

impl Architecture {
    /// U-Net++ goes unsaid in files, which were written before there was another.
    fn unsaid(&self) -> bool {
        *self == Architecture::UnetPlusPlus
    }
}

/// A segmentation network as a model file describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationConfig {
    /// `"unet++"` unless said.
    #[serde(default, skip_serializing_if = "Architecture::unsaid")]
    pub architecture: Architecture,
    /// The network whose features are decoded.
    pub encoder: ResNetConfig,
    /// Channels of the decoder (U-Net++: of its main branch), deepest first.
    #[serde(default = "published_channels")]
    pub decoder_channels: [usize; LEVELS],
    /// Channels of the output.
    pub classes: usize,
}

/// A network from images to a logit for each class and pixel.
#[derive(Clone, Debug)]
pub struct SegmentationNetwork {
    config: SegmentationConfig,
    network: Network,
}

#[derive(Clone, Debug)]
enum Network {
    UnetPlusPlus(UnetPlusPlus),
    Unet(Unet),
}

impl SegmentationNetwork {
    /// The network that `config` names.
    pub fn new(config: SegmentationConfig) -> Self {
        let SegmentationConfig { architecture, encoder, decoder_channels, classes } = config.clone();
        let network = match architecture {
            Architecture::UnetPlusPlus => {
                Network::UnetPlusPlus(UnetPlusPlus::new(UnetPlusPlusConfig { encoder, decoder_channels, classes }))
            }
            Architecture::Unet => Network::Unet(Unet::new(UnetConfig { encoder, decoder_channels, classes })),
        };
        SegmentationNetwork { config, network }
    }

    /// What it was made from.
    pub fn config(&self) -> &SegmentationConfig {
        &self.config
    }

    /// Adds all parameters with smp's initial values.
    ///
    /// # Errors
    /// If a name is taken, or a number of channels or classes is 0.
    pub fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        match &self.network {
            Network::UnetPlusPlus(network) => network.init(parameters, stream),
            Network::Unet(network) => network.init(parameters, stream),
        }
    }

    /// Logits `[batch, height, width, classes]` for `x` `[batch, height, width, 3]`.
    ///
    /// # Errors
    /// If height or width is not a multiple of 32, or parameters are missing.
    pub fn forward(&self, tape: &Tape<'_>, x: &Value) -> Result<Value> {
        match &self.network {
            Network::UnetPlusPlus(network) => network.forward(tape, x),
            Network::Unet(network) => network.forward(tape, x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of before there was a choice read as U-Net++, and it is written as they are.
    #[test]
    fn a_file_says_which_network_unless_it_is_unet_plus_plus() {
        let text =
            r#"{"encoder":{"arch":"resnet18","width":4,"variant":"v1.5"},"decoder_channels":[8,8,4,4,4],"classes":3}"#;
        let config: SegmentationConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.architecture, Architecture::UnetPlusPlus);
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        let unet = SegmentationConfig { architecture: Architecture::Unet, ..config };
        let text = text.replacen('{', r#"{"architecture":"unet","#, 1);
        assert_eq!(serde_json::to_string(&unet).unwrap(), text);
        assert_eq!(SegmentationNetwork::new(serde_json::from_str(&text).unwrap()).config(), &unet);
        assert!(serde_json::from_str::<SegmentationConfig>(&text.replace("unet", "unet+")).is_err());
    }
    /// Recomputation changes no bit of output, gradients or statistics, and keeps less.
    #[test]
    fn what_is_computed_again_is_the_same() -> candle_core::Result<()> {
        use crate::{Mode, footprint};
        use candle_core::{DType, Device, Tensor};
        for (architecture, arch) in [("unet++", "resnet50"), ("unet", "resnet18")] {
            let text = format!(
                r#"{{"architecture":"{architecture}","encoder":{{"arch":"{arch}","width":4}},"decoder_channels":[8,8,4,4,4],"classes":3}}"#
            );
            let network = SegmentationNetwork::new(serde_json::from_str(&text).unwrap());
            let run = |recompute: bool| -> candle_core::Result<_> {
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
