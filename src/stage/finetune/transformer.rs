//! The parameters `transformer` and `decoder`: the transformer of a CS-UNet, and how a decoder of transformer blocks starts.

use super::super::encoder::{EncoderSpec, TRANSFORMER_WEIGHTS};
use super::super::initial_weights::Weights;
use super::super::{Places, StageError};
use crate::nn::{EncoderConfig, TransformerBranch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The transformer beside the encoder of a CS-UNet, and its initial weights: `{ window = 8, weights = "swin.pth" }`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransformerSpec {
    #[serde(flatten)]
    pub(super) branch: TransformerBranch,
    /// Initial weights: `"random"` (the default), `"imagenet"`, or the file of a Swin transformer. Files of Swin transformers lack
    /// the third layer of the blocks (`mlp.fc3`), which `allow_missing` starts with random values.
    #[serde(default = "random")]
    pub(super) weights: Weights,
    /// Whether tensors that are missing in the file start with random values and are listed.
    #[serde(default)]
    allow_missing: bool,
    /// The key of the file under which the network lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// What stands before the network's names in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
}

fn random() -> Weights {
    Weights::Random
}

impl TransformerSpec {
    /// As the encoder that it is, for images of `in_channels`.
    pub(super) fn encoder(&self, in_channels: usize) -> EncoderSpec {
        EncoderSpec {
            network: EncoderConfig::Swin(self.branch.swin(in_channels)),
            weights: self.weights.clone(),
            allow_missing: self.allow_missing,
            key: self.key.clone(),
            prefix: self.prefix.clone(),
        }
    }

    /// Its weight file, if there is one: an external file of the stage.
    ///
    /// # Errors
    /// As [`EncoderSpec::file`].
    pub(super) fn external_file(&self, places: &Places) -> Result<Option<(String, PathBuf)>, StageError> {
        // The number of channels plays no part.
        Ok(self.encoder(crate::data::RGB).file(places)?.map(|path| (TRANSFORMER_WEIGHTS.to_owned(), path)))
    }
}

/// How the blocks of Swin-Unet's or CS-UNet's decoder start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DecoderStart {
    /// As the transformer's blocks of the same width, after its weights are loaded.
    Copied,
    /// With random values.
    Random,
}
