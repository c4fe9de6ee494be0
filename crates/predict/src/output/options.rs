//! Which files are written for an image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Format of masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MaskFormat {
    /// 8 bits, with a palette of the classes' colours; the value of a pixel is that of its class.
    #[default]
    Png,
    /// 8 bits grey, deflate, the value of a pixel is that of its class; BigTIFF from 4 GiB on.
    Tif,
}

impl MaskFormat {
    /// Extension of the files.
    pub fn extension(self) -> &'static str {
        match self {
            MaskFormat::Png => "png",
            MaskFormat::Tif => "tif",
        }
    }
}

/// Format of probabilities: float16 in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProbabilityFormat {
    /// `numpy.load(FILE)["probabilities"]`, `[classes, height, width]`.
    Npz,
    /// A page for each class.
    Tif,
}

impl ProbabilityFormat {
    /// Extension of the files.
    pub fn extension(self) -> &'static str {
        match self {
            ProbabilityFormat::Npz => "npz",
            ProbabilityFormat::Tif => "tif",
        }
    }
}

/// Which files are written for an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputOptions {
    /// Format of the mask.
    pub format: MaskFormat,
    /// Whether the overlay and its thumbnail are written.
    pub overlay: bool,
    /// Whether and how probabilities are written.
    pub probabilities: Option<ProbabilityFormat>,
    /// Whether the map of the uncertainty is written and, with several models, that of their disagreement.
    pub uncertainty: bool,
    /// Classes (indices) whose objects are measured.
    pub objects: Vec<u8>,
}
