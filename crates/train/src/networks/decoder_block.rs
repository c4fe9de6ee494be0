//! The block of smp's U-shaped decoders: upsample by two, join with the skips, convolve twice.

use candle_core::{Result, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::init::{self, ConvInit, join};
use matssl_tensor::ops::Conv2d;
use matssl_tensor::{Parameters, Role, Tape, Value};

/// Upsamplings from the deepest feature to the image.
pub(super) const LEVELS: usize = 5;

/// Channels of the decoder's levels in segmentation_models_pytorch, deepest first.
pub(super) fn published_channels() -> [usize; LEVELS] {
    [256, 128, 64, 32, 16]
}

/// Two 3×3 convolutions, each with batch norm and ReLU, named `{name}.conv1` and `{name}.conv2` as in
/// segmentation_models_pytorch 0.5.
pub(super) struct DecoderBlock {
    /// Where its parameters lie.
    pub(super) name: String,
    /// Of the upsampled input and all skips together.
    pub(super) channels_in: usize,
    /// Of the output.
    pub(super) channels_out: usize,
}

impl DecoderBlock {
    /// Adds its parameters: Kaiming uniform (fan in) convolutions without bias, batch norms.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        for (number, from) in [(1, self.channels_in), (2, self.channels_out)] {
            let conv = format!("{}.conv{number}", self.name);
            let shape = [3, from, self.channels_out];
            init::conv_weight(parameters, &join(&conv, "0.weight"), shape, ConvInit::KaimingUniformFanIn, stream)?;
            init::batch_norm(parameters, &join(&conv, "1"), self.channels_out)?;
        }
        Ok(())
    }

    /// Names and shapes (PyTorch's layout) of its parameters, in the order of [`DecoderBlock::init`].
    pub(super) fn shapes(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        let (name, out) = (&self.name, self.channels_out);
        [(1, self.channels_in), (2, out)].into_iter().flat_map(move |(number, from)| {
            let conv = format!("{name}.conv{number}");
            let vectors = ["weight", "bias", "running_mean", "running_var"];
            let vectors = vectors.map(|vector| (format!("{conv}.1.{vector}"), vec![out]));
            let counter = (format!("{conv}.1.num_batches_tracked"), Vec::new());
            [(format!("{conv}.0.weight"), vec![out, from, 3, 3])].into_iter().chain(vectors).chain([counter])
        })
    }

    /// `[batch, 2 height, 2 width, channels_out]` from `x` `[batch, height, width, _]` and `skips`, of twice its size.
    ///
    /// # Errors
    /// If parameters are missing or shapes do not fit.
    pub(super) fn forward(&self, tape: &Tape<'_>, x: &Value, skips: &[&Value]) -> Result<Value> {
        let conv = |number: usize, inputs: &[(&Value, bool)]| {
            let conv = format!("{}.conv{number}", self.name);
            let names = (&*join(&conv, "0.weight"), &*join(&conv, "1"));
            tape.conv_norm(inputs, names, Conv2d::new(1, 1), None, true)
        };
        let inputs: Vec<(&Value, bool)> =
            [(x, true)].into_iter().chain(skips.iter().map(|skip| (*skip, false))).collect();
        Ok(tape.keep(conv(2, &[(&conv(1, &inputs)?, false)])?))
    }
}

/// Adds the 3×3 convolution from the decoder's last `channels` to one channel a class: Xavier uniform, bias 0.
///
/// # Errors
/// If a name is taken.
pub(super) fn init_head(parameters: &mut Parameters, channels: usize, classes: usize, stream: &Stream) -> Result<()> {
    let shape = [3, channels, classes];
    init::conv_weight(parameters, "segmentation_head.0.weight", shape, ConvInit::XavierUniform, stream)?;
    let bias = Tensor::zeros(classes, parameters.dtype(), parameters.device())?;
    parameters.insert("segmentation_head.0.bias", bias, Role::Bias)
}

/// Names and shapes (PyTorch's layout) of what [`init_head`] adds.
pub(super) fn head_shapes(channels: usize, classes: usize) -> [(String, Vec<usize>); 2] {
    [
        ("segmentation_head.0.weight".into(), vec![classes, channels, 3, 3]),
        ("segmentation_head.0.bias".into(), vec![classes]),
    ]
}

/// Logits `[batch, height, width, classes]` of the decoder's output.
///
/// # Errors
/// If parameters are missing.
pub(super) fn head(tape: &Tape<'_>, x: &Value) -> Result<Value> {
    tape.conv2d(x, "segmentation_head.0.weight", Some("segmentation_head.0.bias"), Conv2d::new(1, 1))
}
