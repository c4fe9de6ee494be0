//! A segmentation network of either architecture.

use super::segmentation_config::{Architecture, SegmentationConfig};
use super::unet::Unet;
use super::unet_plus_plus::UnetPlusPlus;
use candle_core::Result;
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

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
        let network = match config.architecture {
            Architecture::UnetPlusPlus => Network::UnetPlusPlus(UnetPlusPlus::new(config.clone())),
            Architecture::Unet => Network::Unet(Unet::new(config.clone())),
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
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::{Mode, footprint};

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
