//! The precision of networks.

use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What products and activations are rounded to. Parameters, statistics of batch norms, losses and optimisers are
/// float32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Everything in float32: what a CPU does.
    #[default]
    Float32,
    /// Factors of products rounded to 10 bits (NVIDIA's TF32), all else in float32. GPUs only.
    Tf32,
    /// Activations and the factors of products in bfloat16 (8 bits). GPUs only.
    Bf16,
}

impl Precision {
    /// The word in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Float32 => "float32",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
        }
    }

    /// Whether only GPUs compute like this.
    pub fn needs_gpu(self) -> bool {
        self != Precision::Float32
    }

    /// The default, which keys leave out.
    pub fn is_default(&self) -> bool {
        *self == Precision::default()
    }

    /// Type of activations for parameters of type `parameters`.
    pub(super) fn activations(self, parameters: DType) -> DType {
        if self == Precision::Bf16 { DType::BF16 } else { parameters }
    }
}
