//! SE-ResNet-50 and SE-ResNeXt-50 (Hu et al. 2018) with segmentation_models_pytorch's parameter names (`encoders/_senet.py`, from
//! Cadene's pretrained-models.pytorch), as encoders: the output of every stage, no classifier.

use super::se_resnet_config::SeResNetConfig;
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::init::{self, join};
use matssl_tensor::ops::{Conv2d, MaxPool};
use matssl_tensor::{Parameters, Tape, Value};

/// Bottlenecks of the four stages.
const BLOCKS: [usize; 4] = [3, 4, 6, 3];
/// Output channels of a bottleneck, in units of its planes.
const EXPANSION: usize = 4;

/// An SE-ResNet or SE-ResNeXt without its classifier. Its first pooling is 3×3/2 without padding, in ceil mode.
#[derive(Clone, Debug)]
pub(super) struct SeResNet {
    config: SeResNetConfig,
}

/// One bottleneck, with squeeze-and-excitation of its last batch norm.
struct Block {
    name: String,
    convs: [Conv; 3],
    /// Channels between the two layers of the excitation.
    squeezed: usize,
    /// Brings the identity to the block's output size, where that differs.
    downsample: Option<Conv>,
}

struct Conv {
    kernel: usize,
    channels: [usize; 2],
    stride: usize,
    groups: usize,
}

impl Conv {
    fn new(kernel: usize, channels: [usize; 2], stride: usize) -> Self {
        Conv { kernel, channels, stride, groups: 1 }
    }

    /// Kernel, input channels that an output sees, and outputs.
    fn shape(&self) -> [usize; 3] {
        [self.kernel, self.channels[0] / self.groups, self.channels[1]]
    }

    fn init(&self, parameters: &mut Parameters, conv: &str, bn: &str, stream: &Stream) -> Result<()> {
        init::conv(parameters, conv, self.shape(), false, stream)?;
        init::batch_norm(parameters, bn, self.channels[1])
    }

    /// Names and shapes in PyTorch's layout, of the batch norm too.
    fn shapes(&self, conv: &str, bn: &str) -> Vec<(String, Vec<usize>)> {
        let [kernel, channels_in, channels_out] = self.shape();
        let mut shapes = vec![(join(conv, "weight"), vec![channels_out, channels_in, kernel, kernel])];
        for vector in ["weight", "bias", "running_mean", "running_var"] {
            shapes.push((join(bn, vector), vec![channels_out]));
        }
        shapes.push((join(bn, "num_batches_tracked"), Vec::new()));
        shapes
    }

    /// Convolution, batch norm, ReLU if asked.
    fn apply(&self, tape: &Tape<'_>, x: &Value, (conv, bn): (&str, &str), relu: bool) -> Result<Value> {
        let options = Conv2d { groups: self.groups, ..Conv2d::new(self.stride, self.kernel / 2) };
        tape.conv_norm(&[(x, false)], (&join(conv, "weight"), bn), options, None, relu)
    }
}

impl SeResNet {
    /// The network that `config` names.
    pub(super) fn new(config: SeResNetConfig) -> Self {
        SeResNet { config }
    }

    /// Channels of the five [`features`](Self::features).
    pub(super) fn channels(&self) -> [usize; 5] {
        let width = self.config.width;
        [width, EXPANSION * width, 2 * EXPANSION * width, 4 * EXPANSION * width, 8 * EXPANSION * width]
    }

    /// Names and shapes of all its tensors in PyTorch's layout, in the order of [`init`](Self::init).
    pub(super) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut shapes = self.stem().shapes("layer0.conv1", "layer0.bn1");
        for block in (0..4).flat_map(|stage| self.blocks(stage)) {
            let (name, channels) = (&block.name, block.convs[2].channels[1]);
            for (conv, number) in block.convs.iter().zip(1..) {
                shapes.extend(conv.shapes(&format!("{name}.conv{number}"), &format!("{name}.bn{number}")));
            }
            for (number, [inputs, outputs]) in [(1, [channels, block.squeezed]), (2, [block.squeezed, channels])] {
                shapes.push((format!("{name}.se_module.fc{number}.weight"), vec![outputs, inputs, 1, 1]));
                shapes.push((format!("{name}.se_module.fc{number}.bias"), vec![outputs]));
            }
            if let Some(conv) = &block.downsample {
                shapes.extend(conv.shapes(&format!("{name}.downsample.0"), &format!("{name}.downsample.1")));
            }
        }
        shapes
    }

    /// Adds the parameters under `prefix`, with segmentation_models_pytorch's initial values: PyTorch's default for convolutions,
    /// batch norms of weight 1 and bias 0.
    ///
    /// # Errors
    /// If a name is taken, or a size is out of range.
    pub(super) fn init(&self, parameters: &mut Parameters, prefix: &str, stream: &Stream) -> Result<()> {
        if let Err(error) = self.config.check() {
            bail!("{error}");
        }
        self.stem().init(parameters, &join(prefix, "layer0.conv1"), &join(prefix, "layer0.bn1"), stream)?;
        for block in (0..4).flat_map(|stage| self.blocks(stage)) {
            let (name, channels) = (join(prefix, &block.name), block.convs[2].channels[1]);
            for (conv, number) in block.convs.iter().zip(1..) {
                conv.init(parameters, &format!("{name}.conv{number}"), &format!("{name}.bn{number}"), stream)?;
            }
            let (fc1, fc2) = (format!("{name}.se_module.fc1"), format!("{name}.se_module.fc2"));
            init::conv(parameters, &fc1, [1, channels, block.squeezed], true, stream)?;
            init::conv(parameters, &fc2, [1, block.squeezed, channels], true, stream)?;
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
        let names = (&*join(prefix, "layer0.conv1"), &*join(prefix, "layer0.bn1"));
        let stem = tape.keep(self.stem().apply(tape, x, names, true)?);
        let pool = MaxPool { kernel: 3, stride: 2, padding: 0, ceil_mode: true };
        let pooled = tape.keep(tape.max_pool(&stem, pool)?);
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
                    conv.apply(tape, &x, names, false)?
                }
                None => x.clone(),
            };
            for (conv, number) in block.convs.iter().zip(1..) {
                let names = (&*format!("{name}.conv{number}"), &*format!("{name}.bn{number}"));
                x = conv.apply(tape, &x, names, number < 3)?;
            }
            let gate = excitation(tape, &format!("{name}.se_module"), &x)?;
            x = tape.scale_channels_residual(&x, &gate, &identity)?;
            // Two blocks between values that are kept, as in a ResNet.
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
            let (inside, groups) = self.config.inside(planes);
            // SE-ResNets have the stride where ResNets had it first, SE-ResNeXts where torchvision's have it.
            let (first, second) = if groups == 1 { (stride, 1) } else { (1, stride) };
            let convs = [
                Conv::new(1, [from, inside], first),
                Conv { groups, ..Conv::new(3, [inside, inside], second) },
                Conv::new(1, [inside, after], 1),
            ];
            let downsample = (stride != 1 || from != after).then(|| Conv::new(1, [from, after], stride));
            let squeezed = after / SeResNetConfig::REDUCTION;
            Block { name: format!("layer{}.{index}", stage + 1), convs, squeezed, downsample }
        };
        (0..BLOCKS[stage]).map(block).collect()
    }
}

/// Squeeze and excitation: a factor from 0 to 1 for each channel of an image, from the means of all, `[batch, 1, 1, channels]`.
fn excitation(tape: &Tape<'_>, name: &str, x: &Value) -> Result<Value> {
    let fc = |x: &Value, number: usize| {
        let (weight, bias) = (format!("{name}.fc{number}.weight"), format!("{name}.fc{number}.bias"));
        tape.conv2d(x, &weight, Some(&bias), Conv2d::new(1, 0))
    };
    let squeezed = tape.relu(&fc(&tape.mean_pixels(x)?, 1)?)?;
    tape.sigmoid(&fc(&squeezed, 2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use matssl_tensor::Mode;

    const ARCHS: [&str; 2] = ["se-resnet50", "se-resnext50"];

    fn network(arch: &str, width: usize) -> SeResNet {
        SeResNet::new(serde_json::from_str(&format!(r#"{{"arch":"{arch}","width":{width}}}"#)).unwrap())
    }

    fn parameters(network: &SeResNet, prefix: &str) -> Result<Parameters> {
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        network.init(&mut parameters, prefix, &Stream::new(0, "init", 0, 0))?;
        Ok(parameters)
    }

    /// Counts of segmentation_models_pytorch 0.5: `sum(p.numel() for p in smp.encoders.get_encoder("se_resnet50",
    /// weights=None).parameters())`, and of its `state_dict()`.
    #[test]
    fn parameters_are_as_many_as_smps() -> Result<()> {
        for (arch, tensors, scalars) in [("se-resnet50", 382, 26_039_024), ("se-resnext50", 382, 25_510_896)] {
            let network = network(arch, 64);
            let parameters = parameters(&network, "")?;
            assert_eq!((parameters.len(), parameters.count_trainable()), (tensors, scalars), "{arch}");
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
    fn features_have_the_channels_and_strides_they_say() -> Result<()> {
        for arch in ARCHS {
            let network = network(arch, 16);
            let parameters = parameters(&network, "encoder")?;
            let tape = Tape::new(&parameters, Mode::Eval);
            let x = tape.constant(Tensor::ones((1, 64, 96, 3), DType::F32, &Device::Cpu)?);
            let features = network.features(&tape, "encoder", &x)?;
            for (level, (feature, channels)) in features.iter().zip(network.channels()).enumerate() {
                assert_eq!(feature.tensor().dims(), [1, 32 >> level, 48 >> level, channels], "{arch}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_recomputed_gives_the_same_gradients() -> Result<()> {
        let network = network("se-resnext50", 16);
        let gradients = |recompute: bool| -> Result<Vec<Vec<f32>>> {
            let parameters = parameters(&network, "")?.with_recompute(recompute);
            let tape = Tape::new(&parameters, Mode::Train);
            let x = Tensor::arange(0f32, (2 * 64 * 64 * 3) as f32, &Device::Cpu)?.sin()?.reshape((2, 64, 64, 3))?;
            let [.., last] = network.features(&tape, "", &tape.constant(x))?;
            let seed = last.tensor().cos()?;
            let gradients = tape.backward(vec![(last, seed)])?;
            gradients.iter().map(|(_, gradient)| gradient.flatten_all()?.to_vec1()).collect()
        };
        assert!(gradients(false)? == gradients(true)?);
        Ok(())
    }
}
