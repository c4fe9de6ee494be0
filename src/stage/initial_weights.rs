//! The parameter `weights` of an encoder: where its initial weights come from.

use crate::nn::weights::Published;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Source of the initial weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
pub(super) enum Weights {
    /// Random values from the seed.
    Random,
    /// Published weights, in `weights/` of the data folder.
    Published(Published),
    /// A file of `torch.save` or a safetensors file, below the data folder if the path is relative.
    File(PathBuf),
}

impl From<String> for Weights {
    fn from(text: String) -> Self {
        if text == "random" {
            return Weights::Random;
        }
        let published = Published::ALL.into_iter().find(|published| published.word() == text);
        published.map_or_else(|| Weights::File(text.into()), Weights::Published)
    }
}

impl From<Weights> for String {
    fn from(weights: Weights) -> String {
        match weights {
            Weights::Random => "random".into(),
            Weights::Published(published) => published.word().into(),
            Weights::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}
