//! The measures of one image.

use matssl_metrics::{BlockCounts, Object};
use serde::{Deserialize, Serialize};

/// The unit of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unit {
    /// Micrometres.
    #[serde(rename = "µm")]
    Micrometre,
    /// Pixels, where their size is not known.
    #[serde(rename = "px")]
    Pixel,
}

impl Unit {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::Micrometre => "µm",
            Unit::Pixel => "px",
        }
    }
}

/// The objects of a class in one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassObjects {
    /// Index of the class.
    pub class: u8,
    /// All of them, with lengths in the image's [`Unit`].
    pub objects: Vec<Object>,
}

/// The measures of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Pixels of each class, by block.
    pub counts: BlockCounts,
    /// Unit of the lengths below.
    pub unit: Unit,
    /// Mean intercept length by class; `None` where a class has none.
    pub intercepts: Vec<Option<f64>>,
    /// Of the classes that were asked for.
    pub objects: Vec<ClassObjects>,
}
