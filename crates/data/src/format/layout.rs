//! Which files of a data set belong together.

use crate::legend::Legend;
use crate::{Color, Split};
use std::collections::BTreeMap;

/// The images of a data set and the meaning of their masks, as a reader finds them from a list of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Names of the classes.
    pub(super) classes: Vec<String>,
    /// Classes that are left out of means.
    pub(super) ignore_classes: Vec<u8>,
    /// Mask value → class index or [`crate::IGNORE`].
    pub(super) label_values: BTreeMap<u8, u8>,
    /// Mask colour → class index or [`crate::IGNORE`]; empty if masks hold label values.
    pub(super) label_colors: BTreeMap<Color, u8>,
    /// Class of every other colour.
    pub(super) other_color: Option<u8>,
    /// Images with their masks and splits.
    pub(super) images: Vec<LayoutImage>,
}

/// An image of a data set, with its mask and split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayoutImage {
    /// Path inside the data set.
    pub(super) image: String,
    /// Path of its mask, or of the table of polygons that holds it.
    pub(super) mask: Option<String>,
    /// Its split.
    pub(super) split: Split,
    /// The specimen that it shows, if that is known.
    pub(super) specimen: Option<String>,
}

impl Layout {
    /// What values and colours in mask files mean.
    pub(super) fn legend(&self) -> Legend {
        Legend {
            values: self.label_values.clone(),
            colors: self.label_colors.clone(),
            other_color: self.other_color,
            page: None,
        }
    }
}

impl LayoutImage {
    /// An image of an unknown specimen.
    pub(super) fn new(image: &str, mask: Option<&str>, split: Split) -> Self {
        LayoutImage { image: image.into(), mask: mask.map(Into::into), split, specimen: None }
    }
}
