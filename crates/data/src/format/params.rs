//! The parameters of a data set: one flat table for all formats, so that an error points at the exact key.

use super::ebc_preset::EbcPreset;
use crate::annotations::{Overlap, WithoutShapes};
use crate::decode::ImageOptions;
use crate::{ClassColor, Color, Crop, PixelSize, PixelSizes, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Your own images and masks.
    Folder,
    /// Aachen–Heerlen: images, and polygons in a table.
    Aachen,
    /// NASA's environmental barrier coatings, one split (`EBC1` … `EBC3`) as downloaded.
    Ebc,
    /// MetalDAM, the folder that holds `images` and `labels`.
    Metaldam,
    /// UHCS, ultrahigh carbon steel: images without masks.
    Uhcs,
}

impl Format {
    /// The name in the experiment file.
    pub fn name(self) -> &'static str {
        match self {
            Format::Folder => "folder",
            Format::Aachen => "aachen",
            Format::Ebc => "ebc",
            Format::Metaldam => "metaldam",
            Format::Uhcs => "uhcs",
        }
    }
}

/// `[datasets.NAME]`. Parameters that a format does not take are refused by [`DatasetParams::check`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetParams {
    /// The format.
    pub format: Format,
    /// The data set's folder. A key depends on the files in it, not on its path.
    pub path: PathBuf,
    /// Resizes every image and mask to a square of so many pixels, whatever its sides were, as the MatSSL authors do (256;
    /// 512 for EBC): images by an antialiased bilinear filter (theirs is not antialiased), masks by the nearest pixel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<NonZeroUsize>,
    /// Margins of each image that are no part of the micrograph, as `{ bottom = 60 }` (also `top`, `left`, `right`; pixels).
    /// `"auto"`, or `{ bottom = "auto" }`: the info bar, by the metadata of the image (FEI and Thermo Fisher, Zeiss, TESCAN,
    /// JEOL, Hitachi). In the place of the format's own rule. A mask of the file's size is cropped as its image is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// The rectangle of each image that is used, after `crop`: `{ x = 256, y = 356, width = 512, height = 512 }` (pixels). By
    /// default it cuts the images that are scored (`splits = ["val", "test"]`), and the images to train on are used whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Size of a pixel of the files: `"50 nm"`, `"0.05 µm"`, or the length of a scale bar and its pixels, `"5 µm / 504 px"`.
    /// For all images, or a table by file stem or file name (`"*"`: all others). By default, what an image's metadata say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size: Option<PixelSizes>,
    /// Brings every image and mask to this size of a pixel, e.g. `"50 nm"`, before anything else: images area-averaged where
    /// that makes them smaller and cubic where it makes them larger, masks by the nearest pixel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resample: Option<PixelSize>,
    /// Of images of more than 8 bits: how many bits of a value are used, from 8 to 16, e.g. 12 for a camera of that depth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u8>,
    /// Of images of more than 8 bits or of floating-point numbers: `[black, white]`. Values between them become 0 to 255,
    /// values outside become 0 or 255. Instead of `bits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Of tifs with several pages (or an ImageJ stack): the page that is read, from 1. Thumbnails and other smaller copies
    /// are not counted. A mask of several pages is read at the same page, a mask of one page as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
    /// The channels of images that are read, from 0, in this order: `[1]` is the green one of RGB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<usize>>,
    /// The sub folder of images. `folder`: default `"images"`, inside each split's folder; with `{split}` the place of the
    /// split's folder is free (`"images/{split}"`, `"{split}"`). `aachen`: by default `PNG`, `images` or the folder
    /// itself, whichever holds images first; `uhcs`: likewise with `micrographs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// `folder`: the sub folder of masks (default `"masks"`), likewise (`"{split}_annot"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<String>,
    /// `folder`: how masks are named after their image's stem, e.g. `"{stem}_mask"`; the same by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_pattern: Option<String>,
    /// `folder`: annotations of shapes in the place of masks (COCO, labelme, VIA, GeoJSON of QuPath, CVAT): a file in the data
    /// set's folder for all images, `"labels.json"` or `"{split}/labels.json"`, or one for each image, `"labels/{stem}.json"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<String>,
    /// With `annotations`: the class of pixels in no shape, or `"ignore"` if only parts of the images are annotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// With `annotations`: the class of shapes whose name is another: `{ Austenit = "austenite" }`. `"ignore"` stands for pixels
    /// that are in no loss and no metric, `"none"` for shapes that are not drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<BTreeMap<String, String>>,
    /// With `annotations`: the class of pixels in several shapes: `"last"` (default: that of the last in the file, or by CVAT's
    /// `z_order`), `"smallest_on_top"`, or `"refuse"` (shapes of different classes must not overlap).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// With `annotations`: what an image is whose entry has no shapes: `"background"` (default for COCO, labelme and GeoJSON) or
    /// `"unlabeled"`, not annotated yet (default with `background = "ignore"`). VIA and CVAT list all images of a project:
    /// there it must be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_shapes: Option<WithoutShapes>,
    /// With `annotations` of VIA or GeoJSON: the attribute or property that holds the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// `folder`: a folder of images without masks; none by default. `metaldam`: whether to use
    /// `Additive_unlabeled_publish` (default) or another name; `""` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlabeled: Option<String>,
    /// `folder`: the class names, in the order of their label values. `ebc`: `"three"` (default: background, oxide,
    /// crack) or `"oxide"` (everything marked against the background, as the paper scores it: `mask > 0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// `folder`: the label value of each class (default 0, 1, 2, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<u8>>,
    /// `folder`: the colour of each class, by its name, for masks in colours or with a palette:
    /// `{ ferrite = "#ff0000", pore = [0, 0, 0] }`. One of them may be `"other"`: every other colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colors: Option<BTreeMap<String, ClassColor>>,
    /// `folder`: the label value of pixels that are in no loss and no metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_label: Option<u8>,
    /// `folder`, with `colors`: the colour of pixels that are in no loss and no metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_color: Option<Color>,
    /// Class indices that are left out of means (`metaldam`: default `[3]`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_classes: Option<Vec<u8>>,
    /// `folder`, `metaldam`, `aachen`: draw the splits at random. Default for `metaldam`: `{ test = 9, val = 4,
    /// seed = 0 }`, for `aachen`: `{ test = 302, seed = 0 }`; `folder` without it has sub folders `train`, `val` and `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitParams>,
    /// `folder`, `metaldam`, `aachen`: the test images, by stem or by file name; `split` then draws only the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_images: Option<Vec<String>>,
    /// `folder`, `metaldam`, `aachen`: the validation images, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_images: Option<Vec<String>>,
    /// Images of one specimen are never in two of train, val and test. `folder`: a regular expression that finds the
    /// specimen in an image's stem, its first group or all it matches (`"^[^_]+"`: up to the first `_`). `aachen`:
    /// columns of the metadata (`"type+temperature+direction"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `folder`: the folders of the splits, where they have other names than `train`, `val` and `test`:
    /// `{ val = "validate" }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<SplitFolders>,
    /// `folder`: whether folders inside the folders of images and masks are read, too (default: no). The mask of an image
    /// lies in the folder of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
    /// `uhcs`: rows of the info band in images that are neither 645×522 nor 645×484.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<usize>,
    /// `uhcs`: images that are left out, by stem or by file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    /// `ebc`: which of the published splits the folder must hold, or to train on one image only. Without it any folder of
    /// this layout is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<EbcPreset>,
}

/// `classes`: names, or a format's own scheme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "a list of class names, or for `ebc` \"three\" or \"oxide\"")]
pub enum Classes {
    /// Names in the order of the label values.
    Names(Vec<String>),
    /// A scheme of the format.
    Scheme(String),
}

/// A random split of the images that have masks. A number below 1 is a share of them, any other a count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitParams {
    /// The images that are left, by default. If given, the three must add up to all images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<f64>,
    /// To choose the epoch by.
    #[serde(default)]
    pub val: f64,
    /// To score on.
    #[serde(default)]
    pub test: f64,
    /// The split's own seed: the experiment's `seeds` do not move images between splits.
    #[serde(default)]
    pub seed: u64,
}

/// The names of the folders of splits; a split without a name has its own (`train`, `val`, `test`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitFolders {
    /// The folder of images to train on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<String>,
    /// The folder of images to choose the epoch by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val: Option<String>,
    /// The folder of images to score on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

/// A wrong parameter, found after its type was checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{param}`: {message}")]
pub struct ParamProblem {
    /// The key to underline.
    pub param: &'static str,
    /// What is wrong, and what is expected.
    pub message: String,
}

impl ParamProblem {
    pub(super) fn new(param: &'static str, message: impl Into<String>) -> Self {
        ParamProblem { param, message: message.into() }
    }
}

impl DatasetParams {
    /// The names of the classes, if they are given as a list.
    pub(super) fn class_names(&self) -> &[String] {
        match &self.classes {
            Some(Classes::Names(names)) => names,
            _ => &[],
        }
    }

    /// Whether splits are drawn or named, and not given by folders.
    pub(super) fn has_drawn_splits(&self) -> bool {
        self.split.is_some() || self.test_images.is_some() || self.val_images.is_some()
    }

    /// How the data set's image files are read.
    pub fn image_options(&self) -> ImageOptions {
        ImageOptions { bits: self.bits, range: self.range, page: self.page, channels: self.channels.clone() }
    }

    /// Checks that `ignore_classes` names only classes, and not all of them.
    pub(super) fn check_ignored(&self, classes: usize) -> Result<(), ParamProblem> {
        let ignored = self.ignore_classes.as_deref().unwrap_or_default();
        if let Some(class) = ignored.iter().find(|&&class| usize::from(class) >= classes) {
            let message = format!("{class} is no class: classes are numbered from 0 to {}", classes - 1);
            return Err(ParamProblem::new("ignore_classes", message));
        }
        if (0..classes).all(|class| ignored.iter().any(|&ignored| usize::from(ignored) == class)) {
            return Err(ParamProblem::new("ignore_classes", "leaves no class to take the mean over"));
        }
        Ok(())
    }
}
