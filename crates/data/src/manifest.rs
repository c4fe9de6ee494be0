//! The list of a data set's images, made when every file was decoded and checked.

use super::stem::stem;
use super::{Color, DataError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What an image is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// With a mask; trained on.
    Train,
    /// With a mask; the epoch is chosen by it.
    Val,
    /// With a mask; scored on, and never pretrained on.
    Test,
    /// Without a mask.
    Unlabeled,
}

impl Split {
    /// All splits.
    pub const ALL: [Split; 4] = [Split::Train, Split::Val, Split::Test, Split::Unlabeled];

    /// The split whose name in files is `name`.
    pub fn named(name: &str) -> Option<Split> {
        Split::ALL.into_iter().find(|split| split.name() == name)
    }

    /// The name in files: `"train"`, `"val"`, `"test"`, `"unlabeled"`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
            Split::Unlabeled => "unlabeled",
        }
    }
}

/// One image of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path inside the data set, with `/` on every system.
    pub image: String,
    /// blake3 of the image file's bytes, in hex.
    pub image_digest: String,
    /// Path of its mask inside the data set. A table of polygons (`.csv`) holds the masks of many images.
    pub mask: Option<String>,
    /// blake3 of the mask file's bytes, in hex.
    pub mask_digest: Option<String>,
    /// Pixels across as it is read: after the crop, and after resizing if the data set has `resize`.
    pub width: usize,
    /// Pixels down, likewise.
    pub height: usize,
    /// Width and height after the crop and before resizing, if it is resized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resized_from: Option<(usize, usize)>,
    /// 1 to 8: 1 is grey, 3 are RGB.
    pub channels: usize,
    /// What the image is used for.
    pub split: Split,
    /// The specimen that it shows, if the data set has `group`: all images of a specimen are in one split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specimen: Option<String>,
    /// Pixels of each class in the mask after the crop; empty without a mask. Ignored pixels are in none.
    pub class_pixels: Vec<u64>,
}

impl Entry {
    /// Width and height of the part of the file that is used.
    pub fn cropped(&self) -> (usize, usize) {
        self.resized_from.unwrap_or((self.width, self.height))
    }

    /// The file's name without folder and extension.
    pub fn stem(&self) -> &str {
        stem(&self.image)
    }
}

/// A data set: its classes and its images, sorted by path. Equal data gives equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The reader that made it, e.g. `"metaldam"`.
    pub format: String,
    /// Class names, in the order of the class indices. Empty for a data set without masks.
    pub classes: Vec<String>,
    /// Classes that are trained on but left out of means over classes.
    pub ignore_classes: Vec<u8>,
    /// The meaning of each value in mask files: a class index, or [`IGNORE`](super::IGNORE). Other values are errors.
    pub label_values: BTreeMap<u8, u8>,
    /// The meaning of each colour in mask files, likewise. If there are any, masks are read as colours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub label_colors: BTreeMap<Color, u8>,
    /// Number of bits that are used in 16-bit images, if the data set has `bits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u8>,
    /// Sorted by `image`.
    pub images: Vec<Entry>,
}

impl Manifest {
    /// The file that a stage leaves.
    pub const FILE: &'static str = "manifest.json";

    /// Reads the file `path`, which [`Manifest::write`] wrote.
    ///
    /// # Errors
    /// [`DataError`] if the file is missing or is not a manifest.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let text = std::fs::read(path).map_err(DataError::reading(path))?;
        serde_json::from_slice(&text).map_err(|error| {
            DataError::bad(path, format!("not a manifest ({error})"), "run the data set's stage again")
        })
    }

    /// Writes [`Manifest::FILE`] into `folder`: JSON, the same bytes for the same manifest.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub fn write(&self, folder: &Path) -> Result<(), DataError> {
        let path = folder.join(Manifest::FILE);
        let write = || {
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            std::fs::write(&path, text)
        };
        write().map_err(DataError::writing(&path))
    }

    /// The images of one split, in order.
    pub fn entries(&self, split: Split) -> Vec<&Entry> {
        self.images.iter().filter(|entry| entry.split == split).collect()
    }

    /// Pixels of each class over the images of one split.
    pub fn class_pixels(&self, split: Split) -> Vec<u64> {
        let mut sum = vec![0; self.classes.len()];
        for entry in self.entries(split) {
            for (total, pixels) in sum.iter_mut().zip(&entry.class_pixels) {
                *total += pixels;
            }
        }
        sum
    }
}
