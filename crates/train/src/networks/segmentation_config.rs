//! Which segmentation network: what an experiment chooses and a model file records.

use super::decoder_block::{LEVELS, published_channels};
use super::resnet::ResNetConfig;
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
    /// Whether files leave it out: they were written before there was another one.
    fn is_default(&self) -> bool {
        *self == Architecture::default()
    }
}

/// A segmentation network as experiments and model files describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationConfig {
    /// `"unet++"` (the default) or `"unet"`.
    #[serde(default, skip_serializing_if = "Architecture::is_default")]
    pub architecture: Architecture,
    /// The network whose features are decoded.
    pub encoder: ResNetConfig,
    /// Channels of the decoder (U-Net++: of its main branch), deepest first.
    #[serde(default = "published_channels")]
    pub decoder_channels: [usize; LEVELS],
    /// Channels of the output.
    pub classes: usize,
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
