//! An encoder of any architecture: from images to maps of features.

use super::encoder_config::EncoderConfig;
use super::resnet::ResNet;
use super::swin::Swin;
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

/// A network without a classifier, whose maps of features SSL methods and decoders read.
///
/// An encoder has up to five [`features`](Encoder::features), of strides 2, 4, 8, 16 and 32. The last four are its
/// [`stages`](Encoder::stages). A transformer with patches of 4 pixels has the stages alone.
#[derive(Clone, Debug)]
pub struct Encoder {
    config: EncoderConfig,
    trunk: Trunk,
}

/// The network itself. A new architecture adds a variant, and an arm to each function below.
#[derive(Clone, Debug)]
enum Trunk {
    ResNet(ResNet),
    Swin(Swin),
}

impl Encoder {
    /// The network that `config` names.
    pub fn new(config: impl Into<EncoderConfig>) -> Self {
        let config = config.into();
        let trunk = match &config {
            EncoderConfig::ResNet(config) => Trunk::ResNet(ResNet::new(config.clone())),
            EncoderConfig::Swin(config) => Trunk::Swin(Swin::new(config.clone())),
        };
        Encoder { config, trunk }
    }

    /// What it was made from.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Channels of the five [`features`](Self::features), 0 for one that the encoder does not have.
    pub fn channels(&self) -> [usize; 5] {
        match &self.trunk {
            Trunk::ResNet(network) => network.channels(),
            Trunk::Swin(network) => network.channels(),
        }
    }

    /// Names and shapes of all its tensors in PyTorch's layout, in the order of [`init`](Self::init).
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        match &self.trunk {
            Trunk::ResNet(network) => network.shapes(),
            Trunk::Swin(network) => network.shapes(),
        }
    }

    /// Adds the parameters under `prefix`, with the published initial values of the architecture.
    ///
    /// # Errors
    /// If a name is taken, or a size is out of range.
    pub fn init(&self, parameters: &mut Parameters, prefix: &str, stream: &Stream) -> Result<()> {
        match &self.trunk {
            Trunk::ResNet(network) => network.init(parameters, prefix, stream),
            Trunk::Swin(network) => network.init(parameters, prefix, stream),
        }
    }

    /// The five features (strides 2, 4, 8, 16, 32) of `x` `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If parameters are missing, `x` has not `in_channels` channels or sides that do not fit, or the encoder has no feature of
    /// stride 2 ([`EncoderConfig::has_five_features`]).
    pub fn features(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<[Value; 5]> {
        match &self.trunk {
            Trunk::ResNet(network) => network.features(tape, prefix, x),
            Trunk::Swin(_) => bail!("{} has no feature of half the image's size", self.config.arch()),
        }
    }

    /// The four stages (strides 4, 8, 16, 32) of `x` `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If parameters are missing, `x` has not `in_channels` channels or sides that do not fit, or the encoder has no four stages
    /// ([`EncoderConfig::has_four_stages`]).
    pub fn stages(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<[Value; 4]> {
        match &self.trunk {
            Trunk::ResNet(network) => network.features(tape, prefix, x).map(|[_, stages @ ..]| stages),
            Trunk::Swin(network) => network.stages(tape, prefix, x),
        }
    }

    /// The deepest map `[batch, height, width, channels]` of `x` `[batch, height, width, in_channels]`: what every encoder has.
    ///
    /// # Errors
    /// If parameters are missing, or `x` has not `in_channels` channels or sides that do not fit.
    pub fn deepest(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<Value> {
        match &self.trunk {
            Trunk::ResNet(network) => network.features(tape, prefix, x).map(|[.., last]| last),
            Trunk::Swin(network) => network.stages(tape, prefix, x).map(|[.., last]| last),
        }
    }
}
