//! Which segmentation network: what an experiment chooses and a model file records.

use super::decoder_block::{LEVELS, published_channels};
use super::encoder_config::EncoderConfig;
use super::transformer_branch::TransformerBranch;
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
    /// DINOv2's linear head: batch norm, a 1×1 convolution, and the logits enlarged to the image.
    #[serde(rename = "linear")]
    Linear,
    /// Two 3×3 convolutions, the second at twice the encoder's resolution, then as `linear`.
    #[serde(rename = "conv")]
    Conv,
    /// Hariharan et al. 2015: a linear classifier of every pixel on all maps of the encoder.
    #[serde(rename = "hypercolumn")]
    Hypercolumn,
    /// Cao et al. 2021: a Swin transformer and a decoder of its blocks.
    #[serde(rename = "swin-unet")]
    SwinUnet,
    /// Alrfou et al. 2023: a transformer beside a convolutional encoder, and a decoder of the transformer's blocks.
    #[serde(rename = "cs-unet")]
    CsUnet,
}

impl Architecture {
    /// The word in an experiment.
    pub fn word(self) -> &'static str {
        match self {
            Architecture::UnetPlusPlus => "unet++",
            Architecture::Unet => "unet",
            Architecture::Linear => "linear",
            Architecture::Conv => "conv",
            Architecture::Hypercolumn => "hypercolumn",
            Architecture::SwinUnet => "swin-unet",
            Architecture::CsUnet => "cs-unet",
        }
    }

    /// Its name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::UnetPlusPlus => "U-Net++",
            Architecture::Unet => "U-Net",
            Architecture::Linear => "linear head",
            Architecture::Conv => "convolutional head",
            Architecture::Hypercolumn => "linear classifier of hypercolumns",
            Architecture::SwinUnet => "Swin-Unet",
            Architecture::CsUnet => "CS-UNet",
        }
    }

    /// Whether files leave it out: they were written before there was another one.
    fn is_default(&self) -> bool {
        *self == Architecture::default()
    }

    /// Whether its decoder is one of five levels, whose `decoder_channels` an experiment may choose.
    pub fn has_decoder_channels(self) -> bool {
        match self {
            Architecture::UnetPlusPlus | Architecture::Unet => true,
            Architecture::Linear | Architecture::Conv | Architecture::Hypercolumn => false,
            Architecture::SwinUnet | Architecture::CsUnet => false,
        }
    }
}

/// A segmentation network as experiments and model files describe it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationConfig {
    /// `"unet++"` (the default), `"unet"`, `"linear"`, `"conv"`, `"hypercolumn"`, `"swin-unet"` or `"cs-unet"`.
    #[serde(default, skip_serializing_if = "Architecture::is_default")]
    pub architecture: Architecture,
    /// The network whose features are decoded.
    pub encoder: EncoderConfig,
    /// Channels of the decoder of U-Net or U-Net++ (of its main branch), deepest first; by default the published ones. Other
    /// architectures have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_channels: Option<[usize; LEVELS]>,
    /// The transformer beside the encoder of a CS-UNet; by default the published one. Other architectures have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformer: Option<TransformerBranch>,
    /// Channels of the output.
    pub classes: usize,
}

impl SegmentationConfig {
    /// Channels of the decoder of U-Net or U-Net++, deepest first.
    pub fn unet_channels(&self) -> [usize; LEVELS] {
        self.decoder_channels.unwrap_or_else(published_channels)
    }

    /// The transformer beside the encoder of a CS-UNet.
    pub fn transformer(&self) -> TransformerBranch {
        self.transformer.clone().unwrap_or_default()
    }

    /// Checks that the architecture can stand on the encoder.
    ///
    /// # Errors
    /// One line that says what fits.
    pub fn check(&self) -> Result<(), String> {
        match self.architecture {
            Architecture::UnetPlusPlus | Architecture::Unet if !self.encoder.has_five_features() => Err(format!(
                "{} needs an encoder with a feature of half the image's size, which {} has not: choose a ResNet (`arch = \
                 \"resnet50\"`), or another `architecture`",
                self.architecture.name(),
                self.encoder.arch()
            )),
            Architecture::Hypercolumn if !self.encoder.has_four_stages() => Err(format!(
                "a classifier of hypercolumns needs an encoder with several maps, and {} has one: use `architecture = \"linear\"`",
                self.encoder.arch()
            )),
            Architecture::SwinUnet if !matches!(self.encoder, EncoderConfig::Swin(_)) => Err(format!(
                "Swin-Unet needs a Swin transformer (`arch = \"swin-tiny\"`), not {}; CS-UNet (`architecture = \"cs-unet\"`) \
                 joins one to a ResNet",
                self.encoder.arch()
            )),
            Architecture::CsUnet if !self.encoder.is_convolutional() || !self.encoder.has_four_stages() => {
                Err(format!(
                    "CS-UNet needs a convolutional encoder (`arch = \"resnet50\"`) beside its `transformer`, not {}; \
                 `architecture = \"swin-unet\"` has a transformer alone",
                    self.encoder.arch()
                ))
            }
            Architecture::CsUnet => self.transformer().swin(self.encoder.in_channels()).check(),
            _ => Ok(()),
        }?;
        match &self.transformer {
            Some(_) if self.architecture != Architecture::CsUnet => Err(format!(
                "`transformer` is an option of CS-UNet, not of {}: correct `architecture`, or remove it",
                self.architecture.name()
            )),
            _ => Ok(()),
        }
    }

    /// Checks that it takes crops and tiles whose sides are `side` pixels.
    ///
    /// # Errors
    /// One line with the sides that it takes.
    pub fn check_side(&self, side: usize) -> Result<(), String> {
        match self.architecture {
            _ if side == 0 || !side.is_multiple_of(32) => {
                Err(format!("{side} is not a multiple of 32, which the network requires"))
            }
            Architecture::CsUnet => {
                self.encoder.check_side(side)?;
                self.transformer().swin(self.encoder.in_channels()).check_sides(side, side)
            }
            _ => self.encoder.check_side(side),
        }
    }

    /// The sides of images that it takes, in words.
    pub fn sides(&self) -> String {
        let window = match (self.architecture, &self.encoder) {
            (Architecture::CsUnet, _) => Some(self.transformer().window),
            (_, EncoderConfig::Swin(config)) => Some(config.window),
            _ => None,
        };
        match window {
            None => "multiples of 32".into(),
            Some(window) => format!("multiples of {} (windows of {window} patches at every stage)", 32 * window),
        }
    }

    /// Whether all of its operations have a GPU side.
    pub fn runs_on_gpu(&self) -> bool {
        self.is_convolutional() && self.encoder.runs_on_gpu()
    }

    /// Whether it consists of convolutions alone: such networks are written as ONNX, transformers not yet.
    pub fn is_convolutional(&self) -> bool {
        match self.architecture {
            Architecture::UnetPlusPlus | Architecture::Unet => self.encoder.is_convolutional(),
            // The resizing of the logits is neither on a GPU nor in ONNX yet.
            Architecture::Linear | Architecture::Conv | Architecture::Hypercolumn => false,
            Architecture::SwinUnet | Architecture::CsUnet => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that were written before there was a choice have no `architecture`: they are U-Net++, and a U-Net++ is written
    /// as they are.
    #[test]
    fn the_architecture_is_written_unless_it_is_unet_plus_plus() {
        let text =
            r#"{"encoder":{"arch":"resnet18","width":4,"variant":"v1.5"},"decoder_channels":[8,8,4,4,4],"classes":3}"#;
        let config: SegmentationConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.architecture, Architecture::UnetPlusPlus);
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        let unet = SegmentationConfig { architecture: Architecture::Unet, ..config };
        let text = text.replacen('{', r#"{"architecture":"unet","#, 1);
        assert_eq!(serde_json::to_string(&unet).unwrap(), text);
        assert_eq!(serde_json::from_str::<SegmentationConfig>(&text).unwrap(), unet);
        assert!(serde_json::from_str::<SegmentationConfig>(&text.replace("unet", "unet+")).is_err());
    }
}
