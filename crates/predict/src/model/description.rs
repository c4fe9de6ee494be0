//! What `model.json` says.

use matssl_data::augment::{GREY_MEAN, GREY_STD, IMAGENET_MEAN, IMAGENET_STD};
use matssl_data::{Color, RGB, ReadAs};
use matssl_metrics::{Calibration, Confusion};
use matssl_train::networks::SegmentationConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this program writes. It reads this one and all before.
pub const FORMAT_VERSION: u32 = 1;

/// A model folder's `model.json`. An unknown key is an error: it may be a damaged one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDescription {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// What the model is called: the stage with its label and seed.
    pub name: String,
    /// Architecture, encoder, channels and number of classes.
    pub network: SegmentationConfig,
    /// By the index of the network's output.
    pub classes: Vec<ClassDescription>,
    /// What the network's input is made of.
    pub normalisation: Normalisation,
    /// How image files are read: as the data set's.
    pub read_as: ReadAs,
    /// Side of a tile in pixels: that of the crops it was trained on.
    pub tile: usize,
    /// Overlap of neighbouring tiles, as a fraction of their side.
    pub overlap: f64,
    /// Size of a pixel of the training images, in nm, if it is known and the same for all (within 1 %) or they were
    /// resampled to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size_nm: Option<f64>,
    /// Smallest and largest size of a pixel of the training images, in nm, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_sizes_nm: Option<[f64; 2]>,
    /// From the validation images. `None` without such images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The confusion matrix of each validation image, which corrects area fractions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<Confusion>,
    /// Scores by split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<SplitScores>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// blake3 of each other file of the folder that is read.
    pub files: BTreeMap<String, String>,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassDescription {
    /// Its name.
    pub name: String,
    /// Its grey value in masks that are written: as in the data set's masks where it has one value there, else its index.
    pub value: u8,
    /// Its colour in overlays and palettes.
    pub color: Color,
    /// Whether it is left out of means over classes.
    pub ignored: bool,
}

/// `(pixel / 255 - mean) / std`, by channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// By channel.
    pub mean: Vec<f32>,
    /// By channel.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// What the program does to all images of a network that takes `in_channels`: ImageNet's statistics, or for other
    /// channels than three their means.
    pub fn of(in_channels: usize) -> Self {
        if in_channels == RGB {
            return Normalisation { mean: IMAGENET_MEAN.to_vec(), std: IMAGENET_STD.to_vec() };
        }
        Normalisation { mean: vec![GREY_MEAN; in_channels], std: vec![GREY_STD; in_channels] }
    }
}

/// Scores on one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitScores {
    /// `"val"` or `"test"`.
    pub split: String,
    /// The data set.
    pub dataset: String,
    /// Content hash of the split's manifest.
    pub content: String,
    /// Number of images.
    pub images: usize,
    /// Mean IoU, pooled over the pixels.
    pub miou: Option<f64>,
    /// IoU by class.
    pub iou: Vec<Option<f64>>,
    /// The confusion matrix over all images, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

/// Where a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the experiment; empty if it is not known, as in a folder of `[[models]]`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub experiment: String,
    /// The stage.
    pub stage: String,
    /// Its key; empty if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Its seed, if it draws random numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The program and its build; empty if they are not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// Content hashes of the stage's inputs, by label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
}
