//! The parameter `sampling`: which crops a training sees.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the crops are drawn: `{ rare = 0.5 }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sampling {
    /// Probability that a crop holds a pixel of a class drawn by inverse frequency: rare classes are seen more often (nnU-Net
    /// chooses a third of its patches so). The class is one of those in the image's mask, without the data set's
    /// `ignore_classes`; the pixel is drawn uniformly among those of the class. Other crops lie anywhere.
    pub(super) rare: f64,
}

impl Sampling {
    /// Whether all crops lie anywhere, as without this parameter.
    pub(super) fn is_uniform(&self) -> bool {
        self.rare == 0.0
    }

    /// Checks its range.
    ///
    /// # Errors
    /// One line with the remedy.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.rare {
            rare if (0.0..=1.0).contains(&rare) => Ok(()),
            rare => Err(format!("rare = {rare} is out of range: 0 to 1, e.g. 0.5")),
        }
    }
}
