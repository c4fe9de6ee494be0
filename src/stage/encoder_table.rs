//! The table `encoder` as it stands in an experiment.

use super::initial_weights::Weights;
use crate::nn::{EncoderConfig, Mlp, Variant};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// An encoder and its initial weights: `{ arch = "resnet50", weights = "weights/resnet50.pth" }`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EncoderSpec")]
pub(super) struct EncoderTable {
    #[serde(flatten)]
    options: Options,
    /// Initial weights: `"random"`, `"imagenet"`, `"micronet"`, `"image-micronet"`, `"lvd-142m"` (DINOv2's), or a file with the
    /// published names (a ResNet: torchvision's), under any key and behind any prefix.
    pub(super) weights: Weights,
    /// Whether tensors that are missing in the file start with random values and are listed. Otherwise they are an
    /// error.
    #[serde(default)]
    pub(super) allow_missing: bool,
    /// The key of the file under which the network lies, e.g. `"teacher"`, if several networks in it fit. `""` is the top of
    /// the file.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// What stands before the network's names in the file, e.g. `"module.encoder_q."`, if several networks in it fit.
    #[serde(default)]
    pub(super) prefix: Option<String>,
}

/// What describes the network. Each architecture has some of the options.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Options {
    /// Architecture: `"resnet18"`, `"resnet34"`, `"resnet50"`, `"resnet101"`, `"swin-tiny"`, `"dinov2-small"` or
    /// `"dinov2-small-reg"`.
    arch: Arch,
    /// Number of channels with which the network begins. ResNets: 64 in every published network; swin-tiny: 96;
    /// dinov2-small: 384.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    /// ResNets: position of the strides in bottleneck blocks: `"v1.5"` as in torchvision (the default), or `"v1"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<Variant>,
    /// dinov2-small: number of blocks, 12 in the published network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    /// swin-tiny: number of blocks of each stage, `[2, 2, 6, 2]` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    depths: Option<[usize; 4]>,
    /// Number of heads of an attention. dinov2-small: 6 in the published network; swin-tiny: 3 in its first stage, twice as many in
    /// each stage as in the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heads: Option<usize>,
    /// dinov2-small: side of the square of patches whose positions the weights hold, 37 in the published network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grid: Option<usize>,
    /// swin-tiny: side of the attention's windows in patches of 4 pixels, 7 by default. The sides of crops and views are multiples of
    /// 32 times this number, or so small that the last stages are one window each. Tables of position biases in a file for another
    /// window are interpolated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<usize>,
    /// swin-tiny: probability that the last block is left out for an image of a training step, 0.2 by default; earlier blocks less
    /// often, the first never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drop_path: Option<f64>,
    /// swin-tiny: layers after an attention: `"plain"` (Swin's two, the default) or `"residual"` (CS-UNet's three).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mlp: Option<Mlp>,
    /// Number of channels of the images, 1 to 8. With 3 (the default) grey images are shown as red, green and blue. The first
    /// convolution of a weight file is adapted to any other number as in segmentation_models_pytorch: summed for 1, else
    /// repeated and scaled by 3 / `in_channels`. All channels are then normalised alike (mean 0.449, deviation 0.226 of values
    /// from 0 to 1), and augmentation changes no colours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_channels: Option<usize>,
}

/// The word of an architecture.
#[derive(Serialize, Deserialize)]
struct Arch(String);

impl JsonSchema for Arch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Arch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": EncoderConfig::words().collect::<Vec<_>>() })
    }
}

impl EncoderTable {
    /// The network that the options describe.
    ///
    /// # Errors
    /// One line: an option that the architecture does not have, or a value that it does not take.
    pub(super) fn network(&self) -> Result<EncoderConfig, String> {
        let options = serde_json::to_value(&self.options).map_err(|error| error.to_string())?;
        EncoderConfig::read(options)
    }
}
