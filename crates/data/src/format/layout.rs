//! Which files of a data set belong together.

use crate::{Color, Split};
use std::collections::BTreeMap;

/// The images of a data set and the meaning of their masks, as a reader finds them from a list of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Classes that are left out of means.
    pub ignore_classes: Vec<u8>,
    /// Mask value → class index or [`crate::IGNORE`].
    pub label_values: BTreeMap<u8, u8>,
    /// Mask colour → class index or [`crate::IGNORE`]; empty if masks hold label values.
    pub label_colors: BTreeMap<Color, u8>,
    /// Images with their masks and splits.
    pub images: Vec<LayoutImage>,
}

/// An image of a data set, with its mask and split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutImage {
    /// Path inside the data set.
    pub image: String,
    /// Path of its mask, or of the table of polygons that holds it.
    pub mask: Option<String>,
    /// Its split.
    pub split: Split,
    /// The specimen that it shows, if that is known.
    pub specimen: Option<String>,
}

impl LayoutImage {
    /// An image of an unknown specimen.
    pub(super) fn new(image: &str, mask: Option<&str>, split: Split) -> Self {
        LayoutImage { image: image.into(), mask: mask.map(Into::into), split, specimen: None }
    }
}
