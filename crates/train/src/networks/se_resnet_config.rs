//! Which SE-ResNet: what an experiment chooses.

use matssl_data::{MOST_CHANNELS, RGB};
use serde::{Deserialize, Serialize};

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeArch {
    /// ResNet-50 with squeeze-and-excitation, its strides on the first convolutions of the bottlenecks.
    #[serde(rename = "se-resnet50")]
    SeResNet50,
    /// ResNeXt-50 (32×4d) with squeeze-and-excitation.
    #[serde(rename = "se-resnext50")]
    SeResNext50,
}

impl SeArch {
    /// The word in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            SeArch::SeResNet50 => "se-resnet50",
            SeArch::SeResNext50 => "se-resnext50",
        }
    }

    /// The name in segmentation_models_pytorch.
    pub fn smp_name(self) -> &'static str {
        match self {
            SeArch::SeResNet50 => "se_resnet50",
            SeArch::SeResNext50 => "se_resnext50_32x4d",
        }
    }
}

/// An SE-ResNet as an experiment names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeResNetConfig {
    /// `"se-resnet50"` or `"se-resnext50"`.
    pub arch: SeArch,
    /// Channels of the stem, 64 in the published networks; all stages scale with it.
    #[serde(default = "published_width")]
    pub width: usize,
    /// Channels of the images, 1 to 8. Left out if it is 3.
    #[serde(default = "rgb", skip_serializing_if = "is_rgb")]
    pub in_channels: usize,
}

fn published_width() -> usize {
    64
}

fn rgb() -> usize {
    RGB
}

fn is_rgb(channels: &usize) -> bool {
    *channels == RGB
}

impl SeResNetConfig {
    /// Channels that squeeze-and-excitation takes for one.
    pub(super) const REDUCTION: usize = 16;
    /// Groups of a ResNeXt's 3×3 convolutions.
    const GROUPS: usize = 32;
    /// Planes of a ResNeXt's bottleneck for each channel of a group.
    const PLANES: usize = 16;

    /// Channels of the 3×3 convolution of a bottleneck with `planes`, and its groups.
    pub(super) fn inside(&self, planes: usize) -> (usize, usize) {
        match self.arch {
            SeArch::SeResNet50 => (planes, 1),
            SeArch::SeResNext50 => (planes / Self::PLANES * Self::GROUPS, Self::GROUPS),
        }
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// One line with the values that are allowed.
    pub fn check(&self) -> Result<(), String> {
        let unit = match self.arch {
            SeArch::SeResNet50 => 4,
            SeArch::SeResNext50 => Self::PLANES,
        };
        if !(unit..=1024).contains(&self.width) || !self.width.is_multiple_of(unit) {
            let (width, arch) = (self.width, self.arch.name());
            return Err(format!(
                "width = {width}; expected a multiple of {unit} up to 1024 for {arch} (64 in every published network)"
            ));
        }
        if !(1..=MOST_CHANNELS).contains(&self.in_channels) {
            return Err(format!("in_channels = {}; expected 1 to {MOST_CHANNELS}", self.in_channels));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_filled_in_and_sizes_checked() {
        let read = |text: &str| serde_json::from_str::<SeResNetConfig>(text);
        let config = read(r#"{"arch":"se-resnext50"}"#).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"arch":"se-resnext50","width":64}"#);
        assert_eq!((config.check(), config.inside(64), config.inside(512)), (Ok(()), (128, 32), (1024, 32)));
        assert!(read(r#"{"arch":"se-resnet50","variant":"v1"}"#).is_err());
        let narrow = SeResNetConfig { width: 24, ..config };
        assert_eq!(
            narrow.check().unwrap_err(),
            "width = 24; expected a multiple of 16 up to 1024 for se-resnext50 (64 in every published network)"
        );
        assert_eq!(SeResNetConfig { arch: SeArch::SeResNet50, ..narrow }.check(), Ok(()));
    }
}
