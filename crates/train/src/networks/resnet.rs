//! ResNets (He et al. 2015) with torchvision's parameter names, as encoders: the output of every stage, no classifier.

use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_data::{MOST_CHANNELS, RGB};
use matssl_tensor::init::{self, ConvInit, join};
use matssl_tensor::ops::{Conv2d, MaxPool};
use matssl_tensor::{Parameters, Tape, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which ResNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 2, 2, 2, 2 basic blocks.
    ResNet18,
    /// 3, 4, 6, 3 basic blocks.
    ResNet34,
    /// 3, 4, 6, 3 bottlenecks.
    ResNet50,
    /// 3, 4, 23, 3 bottlenecks.
    ResNet101,
}

impl Arch {
    /// The word in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Arch::ResNet18 => "resnet18",
            Arch::ResNet34 => "resnet34",
            Arch::ResNet50 => "resnet50",
            Arch::ResNet101 => "resnet101",
        }
    }

    fn blocks(self) -> [usize; 4] {
        match self {
            Arch::ResNet18 => [2, 2, 2, 2],
            Arch::ResNet34 | Arch::ResNet50 => [3, 4, 6, 3],
            Arch::ResNet101 => [3, 4, 23, 3],
        }
    }

    fn has_bottlenecks(self) -> bool {
        matches!(self, Arch::ResNet50 | Arch::ResNet101)
    }
}

/// Two networks that share all names and shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Variant {
    /// As first published: a stage's stride sits on the first 1×1 convolution of its first bottleneck, and the first
    /// pooling is 3×3/2 without padding, in ceil mode.
    #[serde(rename = "v1")]
    V1,
    /// As in torchvision: the stride sits on the 3×3 convolution, and the first pooling is padded by one.
    #[default]
    #[serde(rename = "v1.5")]
    V15,
}

impl Variant {
    /// The word in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Variant::V1 => "v1",
            Variant::V15 => "v1.5",
        }
    }
}

/// A ResNet as an experiment names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// `"resnet18"`, `"resnet34"`, `"resnet50"` or `"resnet101"`.
    pub arch: Arch,
    /// Channels of the stem, 64 in the published networks; all stages scale with it.
    #[serde(default = "published_width")]
    pub width: usize,
    /// `"v1.5"` (torchvision) or `"v1"`.
    #[serde(default)]
    pub variant: Variant,
    /// Channels of the images, 1 to 8. Left out if it is 3, as it was before it could be chosen.
    #[serde(default = "rgb", skip_serializing_if = "is_rgb")]
    pub in_channels: usize,
}

fn rgb() -> usize {
    RGB
}

fn is_rgb(channels: &usize) -> bool {
    *channels == RGB
}

fn published_width() -> usize {
    64
}

/// A ResNet without its classifier.
#[derive(Clone, Debug)]
pub(super) struct ResNet {
    config: ResNetConfig,
}

/// One residual block.
struct Block {
    name: String,
    convs: Vec<Conv>,
    /// Brings the identity to the block's output size, where that differs.
    downsample: Option<Conv>,
}

struct Conv {
    kernel: usize,
    channels: [usize; 2],
    stride: usize,
}

impl Conv {
    fn new(kernel: usize, channels: [usize; 2], stride: usize) -> Self {
        Conv { kernel, channels, stride }
    }

    fn init(&self, parameters: &mut Parameters, conv: &str, bn: &str, stream: &Stream) -> Result<()> {
        let [channels_in, channels_out] = self.channels;
        let shape = [self.kernel, channels_in, channels_out];
        init::conv_weight(parameters, &join(conv, "weight"), shape, ConvInit::KaimingNormalFanOut, stream)?;
        init::batch_norm(parameters, bn, channels_out)
    }

    /// Convolution, batch norm, plus `residual`, ReLU if asked.
    fn apply(
        &self,
        tape: &Tape<'_>,
        x: &Value,
        (conv, bn): (&str, &str),
        residual: Option<&Value>,
        relu: bool,
    ) -> Result<Value> {
        let options = Conv2d::new(self.stride, self.kernel / 2);
        tape.conv_norm(&[(x, false)], (&join(conv, "weight"), bn), options, residual, relu)
    }
}

impl ResNet {
    /// The network that `config` names.
    pub(super) fn new(config: ResNetConfig) -> Self {
        ResNet { config }
    }

    /// Channels of the five [`features`](Self::features).
    pub(super) fn channels(&self) -> [usize; 5] {
        let width = self.config.width;
        let expansion = if self.config.arch.has_bottlenecks() { 4 } else { 1 };
        [width, width * expansion, 2 * width * expansion, 4 * width * expansion, 8 * width * expansion]
    }

    /// Names and shapes of all its tensors in PyTorch's layout, in the order of [`init`](Self::init).
    pub(super) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut shapes = Vec::new();
        let mut add = |conv: &Conv, name: &str, norm: &str| {
            let [channels_in, channels_out] = conv.channels;
            shapes.push((join(name, "weight"), vec![channels_out, channels_in, conv.kernel, conv.kernel]));
            for vector in ["weight", "bias", "running_mean", "running_var"] {
                shapes.push((join(norm, vector), vec![channels_out]));
            }
            shapes.push((join(norm, "num_batches_tracked"), Vec::new()));
        };
        add(&self.stem(), "conv1", "bn1");
        for block in (0..4).flat_map(|stage| self.blocks(stage)) {
            let name = &block.name;
            for (conv, number) in block.convs.iter().zip(1..) {
                add(conv, &format!("{name}.conv{number}"), &format!("{name}.bn{number}"));
            }
            if let Some(conv) = &block.downsample {
                add(conv, &format!("{name}.downsample.0"), &format!("{name}.downsample.1"));
            }
        }
        shapes
    }

    /// Adds the parameters under `prefix`, with torchvision's initial values: Kaiming normal (fan out) convolutions,
    /// batch norms of weight 1 and bias 0.
    ///
    /// # Errors
    /// If a name is taken, the width is 0, or images have not 1 to 8 channels.
    pub(super) fn init(&self, parameters: &mut Parameters, prefix: &str, stream: &Stream) -> Result<()> {
        if self.config.width == 0 {
            bail!("a ResNet needs a width of at least 1");
        }
        if !(1..=MOST_CHANNELS).contains(&self.config.in_channels) {
            bail!("a ResNet takes images of 1 to {MOST_CHANNELS} channels, not {}", self.config.in_channels);
        }
        self.stem().init(parameters, &join(prefix, "conv1"), &join(prefix, "bn1"), stream)?;
        for block in (0..4).flat_map(|stage| self.blocks(stage)) {
            let name = join(prefix, &block.name);
            for (conv, number) in block.convs.iter().zip(1..) {
                conv.init(parameters, &format!("{name}.conv{number}"), &format!("{name}.bn{number}"), stream)?;
            }
            if let Some(conv) = &block.downsample {
                conv.init(parameters, &format!("{name}.downsample.0"), &format!("{name}.downsample.1"), stream)?;
            }
        }
        Ok(())
    }

    /// The stem after its ReLU (stride 2) and the four stages (strides 4, 8, 16, 32) for `x`
    /// `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If parameters are missing or `x` has not `in_channels` channels.
    pub(super) fn features(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<[Value; 5]> {
        let names = (&*join(prefix, "conv1"), &*join(prefix, "bn1"));
        let stem = tape.keep(self.stem().apply(tape, x, names, None, true)?);
        let (padding, ceil_mode) = match self.config.variant {
            Variant::V1 => (0, true),
            Variant::V15 => (1, false),
        };
        let pooled = tape.keep(tape.max_pool(&stem, MaxPool { kernel: 3, stride: 2, padding, ceil_mode })?);
        let first = self.stage(tape, prefix, 0, pooled)?;
        let second = self.stage(tape, prefix, 1, first.clone())?;
        let third = self.stage(tape, prefix, 2, second.clone())?;
        let fourth = self.stage(tape, prefix, 3, third.clone())?;
        Ok([stem, first, second, third, fourth])
    }

    fn stage(&self, tape: &Tape<'_>, prefix: &str, stage: usize, mut x: Value) -> Result<Value> {
        let blocks = self.blocks(stage);
        for (index, block) in blocks.iter().enumerate() {
            let name = join(prefix, &block.name);
            let identity = match &block.downsample {
                Some(conv) => {
                    let names = (&*format!("{name}.downsample.0"), &*format!("{name}.downsample.1"));
                    conv.apply(tape, &x, names, None, false)?
                }
                None => x.clone(),
            };
            for (conv, number) in block.convs.iter().zip(1..) {
                let residual = (number == block.convs.len()).then_some(&identity);
                let names = (&*format!("{name}.conv{number}"), &*format!("{name}.bn{number}"));
                x = conv.apply(tape, &x, names, residual, true)?;
            }
            // Two blocks between values that are kept: with one, what is kept would be most of it.
            if index % 2 == 1 || index + 1 == blocks.len() {
                x = tape.keep(x);
            }
        }
        Ok(x)
    }

    fn stem(&self) -> Conv {
        Conv::new(7, [self.config.in_channels, self.config.width], 2)
    }

    fn blocks(&self, stage: usize) -> Vec<Block> {
        let (before, after) = (self.channels()[stage], self.channels()[stage + 1]);
        let planes = self.config.width << stage;
        let block = |index: usize| {
            let from = if index == 0 { before } else { after };
            let stride = if index == 0 && stage > 0 { 2 } else { 1 };
            let (first, second) = match self.config.variant {
                Variant::V1 => (stride, 1),
                Variant::V15 => (1, stride),
            };
            let convs = if self.config.arch.has_bottlenecks() {
                vec![
                    Conv::new(1, [from, planes], first),
                    Conv::new(3, [planes, planes], second),
                    Conv::new(1, [planes, after], 1),
                ]
            } else {
                vec![Conv::new(3, [from, planes], stride), Conv::new(3, [planes, planes], 1)]
            };
            let downsample = (stride != 1 || from != after).then(|| Conv::new(1, [from, after], stride));
            Block { name: format!("layer{}.{index}", stage + 1), convs, downsample }
        };
        (0..self.config.arch.blocks()[stage]).map(block).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::{Mode, footprint};

    fn config(text: &str) -> ResNetConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn defaults_are_filled_in_and_unknown_keys_refused() {
        let config = config(r#"{"arch": "resnet50"}"#);
        assert_eq!(config, ResNetConfig { arch: Arch::ResNet50, width: 64, variant: Variant::V15, in_channels: 3 });
        assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"arch":"resnet50","width":64,"variant":"v1.5"}"#);
        assert!(serde_json::from_str::<ResNetConfig>(r#"{"arch": "resnet50", "depth": 3}"#).is_err());
        assert!(serde_json::from_str::<ResNetConfig>(r#"{"arch": "resnet51"}"#).is_err());
    }

    /// Three channels are not written: the bytes of configurations, and so keys, are as before there was a choice.
    #[test]
    fn other_channels_than_three_are_written() {
        let two = config(r#"{"arch": "resnet18", "in_channels": 2}"#);
        let text = r#"{"arch":"resnet18","width":64,"variant":"v1.5","in_channels":2}"#;
        assert_eq!(serde_json::to_string(&two).unwrap(), text);
        assert_eq!(config(text), two);
        let three = config(r#"{"arch": "resnet18", "in_channels": 3}"#);
        assert_eq!(serde_json::to_string(&three).unwrap(), r#"{"arch":"resnet18","width":64,"variant":"v1.5"}"#);
        for in_channels in [0, 9] {
            let net = ResNet::new(ResNetConfig { in_channels, ..three.clone() });
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
            let error = net.init(&mut parameters, "", &Stream::new(0, "init", 0, 0)).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("a ResNet takes images of 1 to 8 channels, not {in_channels}")),
                "{error}"
            );
        }
    }

    /// As `torchvision.models.resnet18` with another `conv1`: `Conv2d(in_channels, 64, 7, 2, 3, bias=False)`.
    #[test]
    fn only_the_first_convolution_knows_the_channels() -> Result<()> {
        let parameters = |in_channels: usize| -> Result<Parameters> {
            let text = format!(r#"{{"arch": "resnet18", "width": 8, "in_channels": {in_channels}}}"#);
            let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
            ResNet::new(config(&text)).init(&mut parameters, "", &Stream::new(0, "init", 0, 0))?;
            Ok(parameters)
        };
        let three = parameters(3)?;
        for in_channels in 1..=8 {
            let other = parameters(in_channels)?;
            assert_eq!(other.len(), three.len());
            for (name, parameter) in other.iter() {
                let expected =
                    if name == "conv1.weight" { &[7, 7, in_channels, 8] } else { three.get(name)?.var.dims() };
                assert_eq!(parameter.var.dims(), expected, "{name}");
            }
            // Kaiming normal, fan out: 7 · 7 · 8 values, whatever the number of input channels.
            let deviation = other.tensor("conv1.weight")?.sqr()?.mean_all()?.to_scalar::<f64>()?.sqrt();
            assert!((deviation / (2.0 / (49.0 * 8.0f64)).sqrt() - 1.0).abs() < 0.1, "{in_channels}: {deviation}");
        }
        Ok(())
    }

    /// Counts of torchvision 0.26 without `fc`.
    #[test]
    fn parameters_are_as_many_as_torchvisions() -> Result<()> {
        for (arch, tensors, scalars) in [("resnet18", 120, 11_176_512), ("resnet50", 318, 23_508_032)] {
            let net = ResNet::new(config(&format!(r#"{{"arch": "{arch}"}}"#)));
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
            net.init(&mut parameters, "", &Stream::new(0, "init", 0, 0))?;
            assert_eq!((parameters.len(), parameters.count_trainable()), (tensors, scalars), "{arch}");
        }
        Ok(())
    }

    #[test]
    fn shapes_are_those_of_the_parameters() -> Result<()> {
        for arch in ["resnet18", "resnet50"] {
            let net = ResNet::new(config(&format!(r#"{{"arch": "{arch}", "width": 2}}"#)));
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
            net.init(&mut parameters, "", &Stream::new(0, "init", 0, 0))?;
            let expected = parameters.iter().map(|(name, parameter)| {
                let shape = match parameter.var.dims() {
                    &[height, width, channels_in, channels_out] => vec![channels_out, channels_in, height, width],
                    other => other.to_vec(),
                };
                (name.to_owned(), shape)
            });
            assert_eq!(net.shapes(), expected.collect::<Vec<_>>());
        }
        Ok(())
    }

    #[test]
    fn features_have_the_channels_and_strides_they_say() -> Result<()> {
        for arch in ["resnet18", "resnet34", "resnet50", "resnet101"] {
            for variant in ["v1", "v1.5"] {
                let net = ResNet::new(config(&format!(r#"{{"arch": "{arch}", "width": 2, "variant": "{variant}"}}"#)));
                let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
                net.init(&mut parameters, "encoder", &Stream::new(0, "init", 0, 0))?;
                let tape = Tape::new(&parameters, Mode::Eval);
                let x = tape.constant(Tensor::ones((1, 64, 96, 3), DType::F32, &Device::Cpu)?);
                let features = net.features(&tape, "encoder", &x)?;
                for (level, (feature, channels)) in features.iter().zip(net.channels()).enumerate() {
                    assert_eq!(feature.tensor().dims(), [1, 32 >> level, 48 >> level, channels], "{arch} {variant}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn initial_values_have_kaiming_spread_and_do_not_depend_on_order() -> Result<()> {
        let stream = Stream::new(3, "init", 0, 0);
        let mut whole = Parameters::new(DType::F64, &Device::Cpu);
        ResNet::new(config(r#"{"arch": "resnet18", "width": 16}"#)).init(&mut whole, "", &stream)?;
        let weight = whole.tensor("layer4.0.conv2.weight")?;
        let deviation = (weight.sqr()?.mean_all()?.to_scalar::<f64>()?).sqrt();
        assert!((deviation / (2.0 / (128.0 * 9.0f64)).sqrt() - 1.0).abs() < 0.01, "{deviation}");
        let mut alone = Parameters::new(DType::F64, &Device::Cpu);
        let shape = [3, 128, 128];
        init::conv_weight(&mut alone, "layer4.0.conv2.weight", shape, ConvInit::KaimingNormalFanOut, &stream)?;
        let difference = (weight - alone.tensor("layer4.0.conv2.weight")?)?.abs()?.sum_all()?.to_scalar::<f64>()?;
        assert_eq!(difference, 0.0);
        Ok(())
    }

    #[test]
    fn the_footprint_grows_with_the_batch_and_takes_no_memory_to_count() -> Result<()> {
        let net = ResNet::new(config(r#"{"arch":"resnet50","width":4}"#));
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        net.init(&mut parameters, "", &Stream::new(0, "init", 0, 0))?;
        let last = |tape: &Tape<'_>, x: &Value| Ok(net.features(tape, "", x)?[4].clone());
        let one = footprint(&parameters, [1, 64, 64, 3], last)?;
        let many = footprint(&parameters, [4096, 64, 64, 3], last)?;
        assert_eq!(many.saved_bytes, 4096 * one.saved_bytes);
        Ok(())
    }
}
