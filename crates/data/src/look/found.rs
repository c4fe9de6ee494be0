//! What a look at a folder found.

use super::labels::{FoundColor, FoundValue};
use crate::Split;

/// What a look at a folder found. Paths are inside [`Found::base`], with `/`.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The folder of the data set inside the one that was looked at; `""` is that folder itself.
    pub base: String,
    /// The folder of images, `"."` for the data set's folder itself, with `{split}` if its path names splits. `None` if all
    /// images are in `unlabeled`.
    pub images: Option<String>,
    /// The masks.
    pub masks: Option<FoundMasks>,
    /// Annotations in the place of masks.
    pub annotations: Option<FoundAnnotations>,
    /// Splits that have folders of their own; empty if the splits are to be drawn.
    pub splits: Vec<FoundSplit>,
    /// A folder of images without masks.
    pub unlabeled: Option<String>,
    /// Number of images with a mask.
    pub labelled: usize,
    /// Number of images without a mask.
    pub unlabelled: usize,
    /// Sizes (width, height) without the bar, with the number of images that have it, of those whose headers were read; the
    /// most frequent first.
    pub sizes: Vec<((usize, usize), usize)>,
    /// How image files store their pixels, with their number, of a sample; the most frequent first.
    pub stored: Vec<(String, usize)>,
    /// Of 16-bit images: how many bits hold every value that was seen.
    pub bits: Option<u8>,
    /// Rows at the bottom of images that their masks lack.
    pub bar: Bar,
    /// What is probably wrong with the data, one sentence each.
    pub warnings: Vec<String>,
    /// What is there and not used, one line each.
    pub passed_over: Vec<String>,
    /// A regular expression for the specimens in the names, if several images share a beginning.
    pub group: Option<String>,
}

/// Masks in image files.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundMasks {
    /// Their folder, as [`Found::images`].
    pub folder: String,
    /// How they are named after their images, e.g. `"{stem}_mask"`; `"{stem}"`: the same.
    pub pattern: String,
    /// What they hold.
    pub labels: FoundLabels,
    /// Number of masks that were read for that.
    pub read: usize,
}

/// What masks hold.
#[derive(Clone, Debug, PartialEq)]
pub enum FoundLabels {
    /// Label values.
    Values {
        /// Values of the classes, in order.
        classes: Vec<FoundValue>,
        /// 255 beside small numbers: not annotated, or edges.
        ignore: Option<FoundValue>,
    },
    /// Colours.
    Colors {
        /// Colours of the classes; black first, then the most frequent.
        classes: Vec<FoundColor>,
        /// The share of pixels in many greys, if classes are painted onto the micrograph: they are one more class, the first.
        other: Option<f64>,
    },
}

/// A file of annotations, or one for each image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAnnotations {
    /// The tool or format: `"COCO"`, `"labelme"`, `"VIA"`, `"GeoJSON"`, `"CVAT"`.
    pub kind: &'static str,
    /// The file inside the data set; `{stem}` in it stands for an image's stem.
    pub pattern: String,
    /// Names of classes, sorted.
    pub classes: Vec<String>,
    /// The property that holds the class, if the format has no fixed one.
    pub attribute: Option<String>,
}

/// A split with folders of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSplit {
    /// The split.
    pub split: Split,
    /// What stands for `{split}`.
    pub folder: String,
    /// Number of its images with a mask.
    pub labelled: usize,
}

/// Rows at the bottom of images that their masks lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bar {
    /// Masks have the size of their images, as far as was seen.
    None,
    /// So many rows in every image.
    Rows(usize),
    /// Different numbers of rows, with the number of images.
    Different(Vec<(usize, usize)>),
}
