//! A linear classifier of every pixel on all maps of an encoder: what the encoder knows before any fine-tuning.

use super::encoder::Encoder;
use super::segmentation_config::SegmentationConfig;
use super::segmentation_model::SegmentationModel;
use candle_core::{Result, Tensor, bail};
use matssl_base::random::Stream;
use matssl_tensor::init::{self, ConvInit};
use matssl_tensor::ops::{Conv2d, Resized};
use matssl_tensor::{Parameters, Role, Tape, Value};

/// An encoder and a linear classifier on the hypercolumn of each pixel (Hariharan et al. 2015): its features in all maps, each
/// enlarged to the image by bilinear interpolation. A map has its batch norm `decoder.norm.I` and its 1×1 convolution
/// `segmentation_head.I`, counted from the finest; the sum of the enlarged logits is the classifier on the enlarged features, because both
/// are linear.
#[derive(Clone, Debug)]
pub(super) struct Hypercolumn {
    encoder: Encoder,
    classes: usize,
}

impl Hypercolumn {
    /// The network that `config` names.
    pub(super) fn new(config: &SegmentationConfig) -> Self {
        Hypercolumn { encoder: Encoder::new(config.encoder.clone()), classes: config.classes }
    }

    /// Channels of the maps, finest first.
    fn channels(&self) -> Vec<usize> {
        self.encoder.channels().into_iter().filter(|&channels| channels > 0).collect()
    }

    fn maps(&self, tape: &Tape<'_>, x: &Value) -> Result<Vec<Value>> {
        if self.encoder.config().has_five_features() {
            return Ok(self.encoder.features(tape, "encoder", x)?.into());
        }
        Ok(self.encoder.stages(tape, "encoder", x)?.into())
    }
}

fn norm(map: usize) -> String {
    format!("decoder.norm.{map}")
}

/// Weight and bias of the 1×1 convolution of a map. The first alone has a bias: one is enough for the sum.
fn head(map: usize) -> (String, Option<String>) {
    let name = |what: &str| format!("segmentation_head.{map}.{what}");
    (name("weight"), (map == 0).then(|| name("bias")))
}

impl SegmentationModel for Hypercolumn {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let encoder = self.encoder.shapes().into_iter();
        let mut shapes: Vec<_> = encoder.map(|(name, shape)| (format!("encoder.{name}"), shape)).collect();
        for (map, channels) in self.channels().into_iter().enumerate() {
            let vectors = ["weight", "bias", "running_mean", "running_var"];
            shapes.extend(vectors.map(|vector| (format!("{}.{vector}", norm(map)), vec![channels])));
            shapes.push((format!("{}.num_batches_tracked", norm(map)), Vec::new()));
            let (weight, bias) = head(map);
            shapes.push((weight, vec![self.classes, channels, 1, 1]));
            shapes.extend(bias.map(|bias| (bias, vec![self.classes])));
        }
        shapes
    }

    /// The encoder's as [`Encoder::init`] (under `encoder`), the 1×1 convolutions Xavier uniform, the bias 0.
    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        if self.classes == 0 {
            bail!("a head needs at least one class");
        }
        self.encoder.init(parameters, "encoder", stream)?;
        for (map, channels) in self.channels().into_iter().enumerate() {
            init::batch_norm(parameters, &norm(map), channels)?;
            let (weight, bias) = head(map);
            let shape = [1, channels, self.classes];
            init::conv_weight(parameters, &weight, shape, ConvInit::XavierUniform, stream)?;
            if let Some(bias) = bias {
                let zeros = Tensor::zeros(self.classes, parameters.dtype(), parameters.device())?;
                parameters.insert(&bias, zeros, Role::Bias)?;
            }
        }
        Ok(())
    }

    fn forward(&self, tape: &Tape<'_>, x: &Value, deepest: &mut dyn FnMut(&Value) -> Result<()>) -> Result<Value> {
        let (_, height, width, _) = x.tensor().dims4()?;
        let maps = self.maps(tape, x)?;
        if let Some(last) = maps.last() {
            deepest(last)?;
        }
        let mut sum: Option<Value> = None;
        for (index, map) in maps.iter().enumerate() {
            let map = tape.batch_norm(map, &norm(index), None, false)?;
            let (weight, bias) = head(index);
            let logits = tape.conv2d(&map, &weight, bias.as_deref(), Conv2d::new(1, 0))?;
            let logits = tape.resize_bilinear(&logits, &Resized::whole([height, width]))?;
            sum = Some(match sum {
                None => logits,
                Some(sum) => tape.sum(&sum, &logits)?,
            });
        }
        sum.ok_or_else(|| candle_core::Error::Msg("an encoder without maps".into()))
    }
}

#[cfg(test)]
mod tests {
    use crate::networks::{SegmentationConfig, SegmentationNetwork};
    use candle_core::{DType, Device, Result, Tensor};
    use matssl_base::random::Stream;
    use matssl_tensor::{Mode, Parameters, Tape, footprint};

    const RESNET: &str = r#"{"arch":"resnet18","width":4}"#;
    const SWIN: &str = r#"{"arch":"swin-tiny","width":8,"heads":1,"depths":[1,1,1,1],"window":2,"drop_path":0.0}"#;

    fn config(encoder: &str) -> SegmentationConfig {
        serde_json::from_str(&format!(r#"{{"architecture":"hypercolumn","encoder":{encoder},"classes":3}}"#)).unwrap()
    }

    fn built(encoder: &str, frozen: bool) -> Result<(SegmentationNetwork, Parameters)> {
        let network = SegmentationNetwork::new(config(encoder));
        let parameters = Parameters::new(DType::F64, &Device::Cpu);
        let mut parameters = if frozen { parameters.with_frozen("encoder") } else { parameters };
        network.init(&mut parameters, &Stream::new(5, "hypercolumn", 0, 0))?;
        Ok((network, parameters))
    }

    #[test]
    fn all_maps_are_classified_and_a_frozen_encoder_keeps_nothing() -> Result<()> {
        for encoder in [RESNET, SWIN] {
            for frozen in [false, true] {
                let (network, parameters) = built(encoder, frozen)?;
                let names: Vec<String> = parameters.iter().map(|(name, _)| name.to_owned()).collect();
                assert_eq!(names, network.shapes().into_iter().map(|(name, _)| name).collect::<Vec<_>>());
                let tape = Tape::new(&parameters, Mode::Train);
                let x = Tensor::randn(0f64, 1.0, (2, 64, 128, 3), &Device::Cpu)?;
                let (logits, embedding) = network.forward_with_embedding(&tape, &tape.constant(x))?;
                assert_eq!(logits.tensor().dims(), [2, 64, 128, 3]);
                assert_eq!(embedding.tensor().dims()[0], 2);
                let seed = logits.tensor().sin()?;
                let gradients = tape.backward(vec![(logits, seed)])?;
                assert_eq!(gradients.iter().count(), parameters.trainable().count());
            }
            let bytes = |frozen: bool| -> Result<u64> {
                let (network, parameters) = built(encoder, frozen)?;
                Ok(footprint(&parameters, [2, 64, 64, 3], |tape, x| network.forward(tape, x))?.saved_bytes)
            };
            assert!(4 * bytes(true)? < bytes(false)?);
        }
        Ok(())
    }

    /// The sum of enlarged logits is the classifier on enlarged features.
    #[test]
    fn it_is_linear_in_the_hypercolumn() -> Result<()> {
        let (network, parameters) = built(RESNET, true)?;
        let tape = Tape::new(&parameters, Mode::Eval);
        let x = tape.constant(Tensor::randn(0f64, 1.0, (1, 32, 32, 3), &Device::Cpu)?);
        let logits = network.forward(&tape, &x)?;
        let encoder = crate::networks::Encoder::new(config(RESNET).encoder);
        let mut expected = Tensor::zeros((1024, 3), DType::F64, &Device::Cpu)?;
        for (map, value) in encoder.features(&tape, "encoder", &x)?.iter().enumerate() {
            let value = tape.batch_norm(value, &format!("decoder.norm.{map}"), None, false)?;
            let whole = matssl_tensor::ops::Resized::whole([32, 32]);
            let features = tape.resize_bilinear(&value, &whole)?.tensor().clone();
            let weight =
                parameters.get(&format!("segmentation_head.{map}.weight"))?.var.as_tensor().squeeze(0)?.squeeze(0)?;
            let channels = weight.dim(0)?;
            expected = (expected + features.reshape((1024, channels))?.matmul(&weight)?)?;
        }
        let difference = (logits.tensor().reshape((1024, 3))? - expected)?.abs()?.max_all()?.to_scalar::<f64>()?;
        assert!(difference < 1e-10, "{difference:e}");
        Ok(())
    }

    #[test]
    fn an_encoder_of_one_map_is_refused() {
        let vit = r#"{"arch":"dinov2-small","width":12,"depth":2,"heads":3,"grid":3}"#;
        assert!(config(vit).check().unwrap_err().contains("\"linear\""));
        assert_eq!(config(SWIN).check(), Ok(()));
    }
}
