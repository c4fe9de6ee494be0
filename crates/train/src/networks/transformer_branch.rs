//! The transformer beside CS-UNet's convolutional encoder: what an experiment chooses and a model file records.

use super::swin_config::{
    Mlp, SwinArch, SwinConfig, published_depths, published_drop_path, published_heads, published_width,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The transformer of a CS-UNet: a Swin transformer with the MLP and the windows of Alrfou et al. (2023).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformerBranch {
    /// Channels of the embedded patches; each stage has twice as many as the one before.
    #[serde(default = "published_width")]
    pub width: usize,
    /// Blocks of the four stages, and of the decoder at their widths.
    #[serde(default = "published_depths")]
    pub depths: [usize; 4],
    /// Heads of the first stage; each stage has twice as many as the one before.
    #[serde(default = "published_heads")]
    pub heads: usize,
    /// Side of the attention's windows in patches of 4 pixels.
    #[serde(default = "published_window")]
    pub window: usize,
    /// Probability that the last block is dropped in training; blocks before it are dropped less often, the first never.
    #[serde(default = "published_drop_path")]
    pub drop_path: f64,
    /// `"residual"` (CS-UNet's) or `"plain"` (Swin's).
    #[serde(default = "published_mlp")]
    pub mlp: Mlp,
}

fn published_window() -> usize {
    8
}

fn published_mlp() -> Mlp {
    Mlp::Residual
}

impl Default for TransformerBranch {
    fn default() -> Self {
        TransformerBranch {
            width: published_width(),
            depths: published_depths(),
            heads: published_heads(),
            window: published_window(),
            drop_path: published_drop_path(),
            mlp: published_mlp(),
        }
    }
}

impl TransformerBranch {
    /// The Swin transformer for images of `in_channels`.
    pub fn swin(&self, in_channels: usize) -> SwinConfig {
        let TransformerBranch { width, depths, heads, window, drop_path, mlp } = *self;
        SwinConfig { arch: SwinArch::Tiny, width, depths, heads, window, drop_path, mlp, in_channels }
    }
}
