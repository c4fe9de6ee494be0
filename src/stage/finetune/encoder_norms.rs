//! The parameter `encoder_norms`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the batch norms of an encoder normalise with in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EncoderNorms {
    /// The statistics of the batch; running statistics follow them.
    #[default]
    Batch,
    /// Their running statistics, which stay as they are; scale and shift are trained.
    Frozen,
}

impl EncoderNorms {
    /// Whether it is as before there was a choice.
    pub(super) fn is_default(&self) -> bool {
        *self == EncoderNorms::default()
    }
}
