//! The parameters of a data set, of all formats together: a flat table, so that errors point at the exact key.

use super::reader;
use crate::Color;
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
    /// The word in the experiment file.
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

/// `[datasets.NAME]`. What a format does not take is refused by [`DatasetParams::check`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetParams {
    /// Which reader.
    pub format: Format,
    /// The data set's folder. Where it lies is no part of a key; what lies in it is.
    pub path: PathBuf,
    /// Resizes every image and mask to a square of so many pixels, whatever its sides were, as the MatSSL authors do (256;
    /// 512 for EBC): images by an antialiased bilinear filter (theirs is not antialiased), masks by the nearest pixel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<NonZeroUsize>,
    /// Of 16-bit images: how many bits of a value are used, from 8 to 16, e.g. 12 for a camera of that depth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u8>,
    /// The sub folder of images. `folder`: default `"images"`. `aachen`: by default `PNG`, `images` or the folder
    /// itself, whichever holds images first; `uhcs`: likewise with `micrographs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// `folder`: the sub folder of masks (default `"masks"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<String>,
    /// `folder`: how masks are named after their image's stem, e.g. `"{stem}_mask"`; the same by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_pattern: Option<String>,
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
    /// `{ ferrite = "#ff0000", pore = [0, 0, 0] }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colors: Option<BTreeMap<String, Color>>,
    /// `folder`: the label value of pixels that count for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_label: Option<u8>,
    /// `folder`, with `colors`: the colour of pixels that count for nothing.
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
    /// `uhcs`: rows of the info band in images that are neither 645×522 nor 645×484.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<usize>,
    /// `uhcs`: images that are left out, by stem or by file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
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
    /// All that is left, by default; if given, the three must add up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<f64>,
    /// To choose the epoch by.
    #[serde(default)]
    pub val: f64,
    /// To score on.
    #[serde(default)]
    pub test: f64,
    /// Its own seed: the experiment's `seeds` do not move images between splits.
    #[serde(default)]
    pub seed: u64,
}

/// What serde cannot say of the parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{param}`: {message}")]
pub struct ParamProblem {
    /// The key to underline.
    pub param: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ParamProblem {
    pub(super) fn new(param: &'static str, message: impl Into<String>) -> Self {
        ParamProblem { param, message: message.into() }
    }
}

impl DatasetParams {
    /// The parameters of `format` at `path`, every default filled in.
    pub fn of(format: Format, path: impl Into<PathBuf>) -> Self {
        DatasetParams {
            format,
            path: path.into(),
            resize: None,
            bits: None,
            images: None,
            masks: None,
            mask_pattern: None,
            unlabeled: None,
            classes: None,
            values: None,
            colors: None,
            ignore_label: None,
            ignore_color: None,
            ignore_classes: None,
            split: None,
            test_images: None,
            val_images: None,
            group: None,
            band: None,
            exclude: None,
        }
        .with_defaults()
    }

    /// Fills in what the format has a default for, so that every default is printed and enters the key.
    #[must_use]
    pub fn with_defaults(mut self) -> Self {
        reader(self.format).fill(&mut self);
        self
    }

    /// Refuses parameters that the format does not take, and impossible combinations.
    ///
    /// # Errors
    /// The first problem, with the parameter to underline.
    pub fn check(&self) -> Result<(), ParamProblem> {
        let reader = reader(self.format);
        let given = [
            ("images", self.images.is_some()),
            ("masks", self.masks.is_some()),
            ("mask_pattern", self.mask_pattern.is_some()),
            ("unlabeled", self.unlabeled.is_some()),
            ("classes", self.classes.is_some()),
            ("values", self.values.is_some()),
            ("colors", self.colors.is_some()),
            ("ignore_label", self.ignore_label.is_some()),
            ("ignore_color", self.ignore_color.is_some()),
            ("ignore_classes", self.ignore_classes.is_some()),
            ("split", self.split.is_some()),
            ("test_images", self.test_images.is_some()),
            ("val_images", self.val_images.is_some()),
            ("group", self.group.is_some()),
            ("band", self.band.is_some()),
            ("exclude", self.exclude.is_some()),
        ];
        if let Some((param, _)) = given.iter().find(|(param, given)| *given && !reader.takes().contains(param)) {
            let message = format!("format `{}` takes only: {}", self.format.name(), reader.takes().join(", "));
            return Err(ParamProblem::new(param, message));
        }
        if let Some(side) = self.resize.filter(|side| !(8..=16_384).contains(&side.get())) {
            return Err(ParamProblem::new("resize", format!("{side} pixels; expected 8 to 16384")));
        }
        if let Some(bits) = self.bits.filter(|bits| !(8..=16).contains(bits)) {
            return Err(ParamProblem::new("bits", format!("{bits} bits a pixel; expected 8 to 16")));
        }
        if let Some(split) = &self.split {
            split.check()?;
        }
        reader.check(&self.clone().with_defaults())
    }

    /// Whether `ignore_classes` names only classes, and leaves one.
    pub(super) fn check_ignored(&self, classes: usize) -> Result<(), ParamProblem> {
        let ignored = self.ignore_classes.as_deref().unwrap_or_default();
        if let Some(class) = ignored.iter().find(|&&class| usize::from(class) >= classes) {
            let message = format!("{class} is no class: they are counted from 0 to {}", classes - 1);
            return Err(ParamProblem::new("ignore_classes", message));
        }
        if (0..classes).all(|class| ignored.iter().any(|&ignored| usize::from(ignored) == class)) {
            return Err(ParamProblem::new("ignore_classes", "leaves no class to take the mean over"));
        }
        Ok(())
    }
}
