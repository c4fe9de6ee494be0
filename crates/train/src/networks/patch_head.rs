//! Small heads on an encoder's deepest map: what a frozen vision transformer is judged by.

use super::encoder::Encoder;
use super::segmentation_config::SegmentationConfig;
use super::segmentation_model::SegmentationModel;
use candle_core::{Result, Tensor, bail};
use matssl_base::random::Stream;
use matssl_tensor::init::{self, ConvInit};
use matssl_tensor::ops::Conv2d;
use matssl_tensor::{Parameters, Role, Tape, Value};

/// Channels of the two convolutions of a convolutional head.
const CONVOLUTIONS: [usize; 2] = [256, 128];

/// What is between the encoder and the last 1×1 convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadKind {
    /// A batch norm, `decoder.norm`: `BNHead` of DINOv2's linear segmentation (`dinov2/eval/segmentation`).
    Linear,
    /// 3×3 convolutions, each with batch norm and ReLU, `decoder.conv1` and `decoder.conv2`; before the second the map is doubled
    /// in height and width (nearest neighbour).
    Convolutional,
}

/// An encoder and a small head. The 1×1 convolution `segmentation_head.0` gives logits at the map's resolution, which are
/// enlarged to the image by bilinear interpolation.
#[derive(Clone, Debug)]
pub(super) struct PatchHead {
    encoder: Encoder,
    kind: HeadKind,
    classes: usize,
}

impl PatchHead {
    /// The network that `config` names.
    pub(super) fn new(config: &SegmentationConfig, kind: HeadKind) -> Self {
        PatchHead { encoder: Encoder::new(config.encoder.clone()), kind, classes: config.classes }
    }

    /// Channels of the encoder's deepest map.
    fn channels(&self) -> usize {
        let [.., last] = self.encoder.channels();
        last
    }

    /// Names and sizes `[kernel, in, out]` of the convolutions that have a batch norm.
    fn convolutions(&self) -> Vec<(&'static str, [usize; 3])> {
        let [first, second] = CONVOLUTIONS;
        match self.kind {
            HeadKind::Linear => Vec::new(),
            HeadKind::Convolutional => {
                vec![("decoder.conv1", [3, self.channels(), first]), ("decoder.conv2", [3, first, second])]
            }
        }
    }

    /// Channels that the 1×1 convolution reads.
    fn last(&self) -> usize {
        self.convolutions().last().map_or(self.channels(), |(_, [.., channels])| *channels)
    }
}

/// Names and shape of a batch norm's tensors.
fn norm_shapes(prefix: &str, channels: usize) -> impl Iterator<Item = (String, Vec<usize>)> {
    let vectors = ["weight", "bias", "running_mean", "running_var"];
    let counter = (format!("{prefix}.num_batches_tracked"), Vec::new());
    vectors.map(|vector| (format!("{prefix}.{vector}"), vec![channels])).into_iter().chain([counter])
}

impl SegmentationModel for PatchHead {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let encoder = self.encoder.shapes().into_iter();
        let mut shapes: Vec<_> = encoder.map(|(name, shape)| (format!("encoder.{name}"), shape)).collect();
        if self.kind == HeadKind::Linear {
            shapes.extend(norm_shapes("decoder.norm", self.channels()));
        }
        for (name, [kernel, channels_in, channels_out]) in self.convolutions() {
            shapes.push((format!("{name}.0.weight"), vec![channels_out, channels_in, kernel, kernel]));
            shapes.extend(norm_shapes(&format!("{name}.1"), channels_out));
        }
        shapes.push(("segmentation_head.0.weight".into(), vec![self.classes, self.last(), 1, 1]));
        shapes.push(("segmentation_head.0.bias".into(), vec![self.classes]));
        shapes
    }

    /// The encoder's as [`Encoder::init`] (under `encoder`), convolutions Kaiming uniform (fan in), the last one Xavier uniform with
    /// bias 0.
    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        if self.classes == 0 {
            bail!("a head needs at least one class");
        }
        self.encoder.init(parameters, "encoder", stream)?;
        if self.kind == HeadKind::Linear {
            init::batch_norm(parameters, "decoder.norm", self.channels())?;
        }
        for (name, shape) in self.convolutions() {
            let weight = format!("{name}.0.weight");
            init::conv_weight(parameters, &weight, shape, ConvInit::KaimingUniformFanIn, stream)?;
            init::batch_norm(parameters, &format!("{name}.1"), shape[2])?;
        }
        let shape = [1, self.last(), self.classes];
        init::conv_weight(parameters, "segmentation_head.0.weight", shape, ConvInit::XavierUniform, stream)?;
        let bias = Tensor::zeros(self.classes, parameters.dtype(), parameters.device())?;
        parameters.insert("segmentation_head.0.bias", bias, Role::Bias)
    }

    fn forward(&self, tape: &Tape<'_>, x: &Value, deepest: &mut dyn FnMut(&Value) -> Result<()>) -> Result<Value> {
        let (_, height, width, _) = x.tensor().dims4()?;
        let map = self.encoder.deepest(tape, "encoder", x)?;
        deepest(&map)?;
        let mut map = match self.kind {
            HeadKind::Linear => tape.batch_norm(&map, "decoder.norm", None, false)?,
            HeadKind::Convolutional => map,
        };
        for (index, (name, _)) in self.convolutions().into_iter().enumerate() {
            let names = (&*format!("{name}.0.weight"), &*format!("{name}.1"));
            map = tape.keep(tape.conv_norm(&[(&map, index > 0)], names, Conv2d::new(1, 1), None, true)?);
        }
        let bias = Some("segmentation_head.0.bias");
        let logits = tape.conv2d(&map, "segmentation_head.0.weight", bias, Conv2d::new(1, 0))?;
        tape.resize_bilinear(&logits, &self.encoder.covered([height, width]))
    }
}

#[cfg(test)]
mod tests {
    use crate::networks::{SegmentationConfig, SegmentationNetwork};
    use candle_core::{DType, Device, Result, Tensor};
    use matssl_base::random::Stream;
    use matssl_tensor::{Mode, Parameters, Tape, footprint};

    const VIT: &str = r#"{"arch":"dinov2-small-reg","width":12,"depth":2,"heads":3,"grid":3}"#;
    const RESNET: &str = r#"{"arch":"resnet18","width":4}"#;

    fn config(architecture: &str, encoder: &str) -> SegmentationConfig {
        let text = format!(r#"{{"architecture":"{architecture}","encoder":{encoder},"classes":3}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn built(architecture: &str, encoder: &str, frozen: bool) -> Result<(SegmentationNetwork, Parameters)> {
        let network = SegmentationNetwork::new(config(architecture, encoder));
        let parameters = Parameters::new(DType::F64, &Device::Cpu);
        let mut parameters = if frozen { parameters.with_frozen("encoder") } else { parameters };
        network.init(&mut parameters, &Stream::new(5, "head", 0, 0))?;
        Ok((network, parameters))
    }

    #[test]
    fn logits_have_the_size_of_the_image_and_what_is_trained_a_gradient() -> Result<()> {
        for (architecture, encoder) in [("linear", VIT), ("conv", VIT), ("linear", RESNET), ("conv", RESNET)] {
            for frozen in [false, true] {
                let (network, parameters) = built(architecture, encoder, frozen)?;
                let names: Vec<String> = parameters.iter().map(|(name, _)| name.to_owned()).collect();
                assert_eq!(names, network.shapes().into_iter().map(|(name, _)| name).collect::<Vec<_>>());
                let tape = Tape::new(&parameters, Mode::Train);
                let x = Tensor::randn(0f64, 1.0, (2, 32, 64, 3), &Device::Cpu)?;
                let (logits, embedding) = network.forward_with_embedding(&tape, &tape.constant(x))?;
                assert_eq!(logits.tensor().dims(), [2, 32, 64, 3]);
                assert_eq!(embedding.tensor().dims()[0], 2);
                let seed = logits.tensor().sin()?;
                let gradients = tape.backward(vec![(logits, seed)])?;
                assert_eq!(gradients.iter().count(), parameters.trainable().count());
                assert!(gradients.iter().all(|(name, _)| !frozen || !name.starts_with("encoder.")));
            }
        }
        Ok(())
    }

    /// A frozen encoder keeps nothing for a backward pass, and computes what it computes in a prediction.
    #[test]
    fn a_frozen_encoder_saves_nothing() -> Result<()> {
        for encoder in [VIT, RESNET] {
            let bytes = |frozen: bool| -> Result<u64> {
                let (network, parameters) = built("linear", encoder, frozen)?;
                Ok(footprint(&parameters, [2, 64, 64, 3], |tape, x| network.forward(tape, x))?.saved_bytes)
            };
            let (trained, frozen) = (bytes(false)?, bytes(true)?);
            assert!(10 * frozen < trained, "{frozen} of {trained}");
        }
        Ok(())
    }

    #[test]
    fn learning_rates_fall_towards_the_image() -> Result<()> {
        let (network, _) = built("linear", VIT, false)?;
        let factors = network.rate_factors(1.0, 0.5);
        let factor = |name: &str| factors[&format!("encoder.{name}")];
        assert_eq!(
            [factor("pos_embed"), factor("blocks.0.ls1.gamma"), factor("blocks.1.ls1.gamma"), factor("norm.weight")],
            [0.125, 0.25, 0.5, 1.0]
        );
        assert!(factors.keys().all(|name| name.starts_with("encoder.")));
        Ok(())
    }

    #[test]
    fn a_head_is_described_without_a_decoder() {
        let text = r#"{"architecture":"linear","encoder":{"arch":"resnet18","width":4,"variant":"v1.5"},"classes":3}"#;
        assert_eq!(serde_json::to_string(&config("linear", RESNET)).unwrap(), text);
        assert!(config("unet", VIT).check().unwrap_err().contains("which dinov2-small-reg has not"));
        assert_eq!(config("linear", VIT).check(), Ok(()));
    }
}
