//! An encoder of any architecture: from images to maps of features.

use super::encoder_config::EncoderConfig;
use super::resnet::ResNet;
use super::se_resnet::SeResNet;
use super::swin::Swin;
use super::vit::{PATCH, Vit};
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::ops::Resized;
use matssl_tensor::{Parameters, Tape, Value};

/// A network without a classifier, whose maps of features SSL methods and decoders read.
///
/// An encoder has up to five [`features`](Encoder::features), of strides 2, 4, 8, 16 and 32. The last four are its
/// [`stages`](Encoder::stages). A transformer with patches of 4 pixels has the stages alone, a plain vision transformer only the
/// [`deepest`](Encoder::deepest) map. An encoder that a training leaves as it is runs as in a prediction
/// ([`Tape::of_part`]).
#[derive(Clone, Debug)]
pub struct Encoder {
    config: EncoderConfig,
    trunk: Trunk,
}

/// The network itself. A new architecture adds a variant, and an arm to each function below.
#[derive(Clone, Debug)]
enum Trunk {
    ResNet(ResNet),
    SeResNet(SeResNet),
    Vit(Vit),
    Swin(Swin),
}

/// Stages of a ResNet.
const STAGES: usize = 4;

/// The stage of the parameter `name` of a ResNet, from 1; 0 for the stem.
fn stage(name: &str) -> usize {
    let number = name.strip_prefix("layer").and_then(|rest| rest.split('.').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0).min(STAGES)
}

impl Encoder {
    /// The network that `config` names.
    pub fn new(config: impl Into<EncoderConfig>) -> Self {
        let config = config.into();
        let trunk = match &config {
            EncoderConfig::ResNet(config) => Trunk::ResNet(ResNet::new(config.clone())),
            EncoderConfig::SeResNet(config) => Trunk::SeResNet(SeResNet::new(config.clone())),
            EncoderConfig::Vit(config) => Trunk::Vit(Vit::new(config.clone())),
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
            Trunk::SeResNet(network) => network.channels(),
            Trunk::Vit(network) => [0, 0, 0, 0, network.config().width],
            Trunk::Swin(network) => network.channels(),
        }
    }

    /// Names and shapes of all its tensors in PyTorch's layout, in the order of [`init`](Self::init).
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        match &self.trunk {
            Trunk::ResNet(network) => network.shapes(),
            Trunk::SeResNet(network) => network.shapes(),
            Trunk::Vit(network) => network.shapes(),
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
            Trunk::SeResNet(network) => network.init(parameters, prefix, stream),
            Trunk::Vit(network) => network.init(parameters, prefix, stream),
            Trunk::Swin(network) => network.init(parameters, prefix, stream),
        }
    }

    /// The five features (strides 2, 4, 8, 16, 32) of `x` `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If parameters are missing, `x` has not `in_channels` channels or sides that do not fit, or the encoder has no feature of
    /// stride 2 ([`EncoderConfig::has_five_features`]).
    pub fn features(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<[Value; 5]> {
        let part = tape.of_part(prefix);
        let tape = part.as_ref().unwrap_or(tape);
        match &self.trunk {
            Trunk::ResNet(network) => network.features(tape, prefix, x),
            Trunk::SeResNet(network) => network.features(tape, prefix, x),
            Trunk::Vit(_) => bail!("{} has one map of features, not five", self.config.arch()),
            Trunk::Swin(_) => bail!("{} has no feature of half the image's size", self.config.arch()),
        }
    }

    /// The four stages (strides 4, 8, 16, 32) of `x` `[batch, height, width, in_channels]`.
    ///
    /// # Errors
    /// If parameters are missing, `x` has not `in_channels` channels or sides that do not fit, or the encoder has no four stages
    /// ([`EncoderConfig::has_four_stages`]).
    pub fn stages(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<[Value; 4]> {
        let part = tape.of_part(prefix);
        let tape = part.as_ref().unwrap_or(tape);
        match &self.trunk {
            Trunk::ResNet(network) => network.features(tape, prefix, x).map(|[_, stages @ ..]| stages),
            Trunk::SeResNet(network) => network.features(tape, prefix, x).map(|[_, stages @ ..]| stages),
            Trunk::Vit(_) => bail!("{} has one map of features, not four", self.config.arch()),
            Trunk::Swin(network) => network.stages(tape, prefix, x),
        }
    }

    /// The deepest map `[batch, height, width, channels]` of `x` `[batch, height, width, in_channels]`: what every encoder has.
    ///
    /// # Errors
    /// If parameters are missing, or `x` has not `in_channels` channels or sides that do not fit.
    pub fn deepest(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<Value> {
        let part = tape.of_part(prefix);
        let tape = part.as_ref().unwrap_or(tape);
        match &self.trunk {
            Trunk::ResNet(network) => network.features(tape, prefix, x).map(|[.., last]| last),
            Trunk::SeResNet(network) => network.features(tape, prefix, x).map(|[.., last]| last),
            Trunk::Vit(network) => network.features(tape, prefix, x),
            Trunk::Swin(network) => network.stages(tape, prefix, x).map(|[.., last]| last),
        }
    }

    /// Where an image of `size` `[height, width]` lies under the [`deepest`](Self::deepest) map, in pixels: the size that the map
    /// covers, and the image's rows and columns in it.
    pub fn covered(&self, size: [usize; 2]) -> Resized {
        match &self.trunk {
            Trunk::ResNet(_) | Trunk::SeResNet(_) | Trunk::Swin(_) => Resized::whole(size),
            Trunk::Vit(_) => {
                let (patches, kept) = Vit::padded(size);
                Resized { size: patches.map(|count| PATCH * count), kept }
            }
        }
    }

    /// The factor of the learning rate for the parameter `name` of the encoder, if it falls by `decay` from layer to layer towards
    /// the image; 1 for what has the whole rate. The layers of a ResNet are its stem and its four stages, those of a transformer the
    /// patches and its blocks.
    pub fn rate_factor(&self, name: &str, decay: f64) -> f64 {
        let (layer, layers) = match &self.trunk {
            Trunk::ResNet(_) | Trunk::SeResNet(_) => (Some(stage(name)), STAGES + 1),
            Trunk::Vit(network) => (network.layer(name), network.layers()),
            Trunk::Swin(network) => (Some(network.layer(name)), network.depth() + 1),
        };
        let steps = layer.map_or(0, |layer| layers - layer);
        decay.powi(i32::try_from(steps).unwrap_or(i32::MAX))
    }
}
