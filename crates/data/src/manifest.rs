//! The list of a data set's images, made when every file was decoded and checked.

use super::annotations::AnnotationRules;
use super::channels::check_channels;
use super::crop::Part;
use super::decode::ImageOptions;
use super::legend::Legend;
use super::stem::stem;
use super::{Color, DataError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Path inside the data set, with `/` on every system.
    pub image: String,
    /// blake3 of the image file's bytes, in hex.
    pub image_digest: String,
    /// Path of its mask inside the data set. A table of polygons (`.csv`) holds the masks of many images, and so
    /// may an annotation file.
    pub mask: Option<String>,
    /// blake3 of the mask file's bytes, in hex.
    pub mask_digest: Option<String>,
    /// Pixels across as it is read: after the crop, and after resizing if the data set has `resize`.
    pub width: usize,
    /// Pixels down, likewise.
    pub height: usize,
    /// Width and height after the crop and before resizing or resampling, if it is resized or resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resized_from: Option<(usize, usize)>,
    /// Pixels of the file for one as it is read, across and down, if the data set has `resample`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resampled_by: Option<[f64; 2]>,
    /// Width and height of the image in its file, if the data set has `crop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<(usize, usize)>,
    /// Columns that are cut from the left and rows that are cut from the top, if any are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<(usize, usize)>,
    /// The micrograph that the data set's `window` is cut from, if this image is cut: its offset in the file (columns, rows) and its
    /// width and height, after `crop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_of: Option<Part>,
    /// Size of a pixel as it is read, after resizing or resampling, across and down, in nm, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size: Option<[f64; 2]>,
    /// Where the size of a pixel comes from: `"experiment"`, or whose metadata of the image (`"FEI"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size_from: Option<String>,
    /// 1 to 8: 1 is grey, 3 are RGB.
    pub channels: usize,
    /// How the image file says that its pixels are turned (2 to 8, tag 274 of TIFF and EXIF), if it says so. They are read
    /// as they are to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orientation: Option<u8>,
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

    /// The image as it was taken: at the size that the file has, without what the crop cuts.
    #[must_use]
    pub fn as_taken(&self) -> Entry {
        let (width, height) = self.cropped();
        Entry { width, height, resized_from: None, resampled_by: None, pixel_size: None, ..self.clone() }
    }

    /// The file's name without folder and extension.
    pub fn stem(&self) -> &str {
        stem(&self.image)
    }
}

/// A data set: its classes and its images, sorted by path. Equal data gives equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The class of every other colour, if one is `"other"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_color: Option<u8>,
    /// How masks are drawn from annotation files, if the data set has `annotations`: every mask is then drawn from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<AnnotationRules>,
    /// How image files are read, as far as the data set says it.
    #[serde(flatten)]
    pub options: ImageOptions,
    /// Sorted by `image`.
    pub images: Vec<Entry>,
    /// Whether it was read from [parts](Manifest::part), so that images of other splits may exist.
    #[serde(skip)]
    pub is_part: bool,
}

impl Manifest {
    /// The file that a stage leaves.
    pub const FILE: &'static str = "manifest.json";

    /// The file with the images of `split` alone, which a stage leaves, too: a stage that reads it depends on no other images.
    pub const fn part(split: Split) -> &'static str {
        match split {
            Split::Train => "manifest.train.json",
            Split::Val => "manifest.val.json",
            Split::Test => "manifest.test.json",
            Split::Unlabeled => "manifest.unlabeled.json",
        }
    }

    /// Reads the manifest among `files` (name → path): [`Manifest::FILE`], or else the images of all
    /// [parts](Manifest::part) that are there.
    ///
    /// # Errors
    /// [`DataError`] if there is neither, or a file is not a manifest.
    pub fn read_among(files: &BTreeMap<String, PathBuf>) -> Result<Self, DataError> {
        if let Some(path) = files.get(Manifest::FILE) {
            return Manifest::read(path);
        }
        let mut whole: Option<Manifest> = None;
        for path in Split::ALL.into_iter().filter_map(|split| files.get(Manifest::part(split))) {
            let part = Manifest::read(path)?;
            match &mut whole {
                Some(whole) => whole.images.extend(part.images),
                None => whole = Some(part),
            }
        }
        let mut whole = whole.ok_or_else(|| {
            DataError::not_there(Path::new(Manifest::FILE), "run the stage that makes the data set again")
        })?;
        whole.is_part = true;
        whole.images.sort_by(|a, b| a.image.cmp(&b.image));
        Ok(whole)
    }

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

    /// Writes [`Manifest::FILE`] and its [parts](Manifest::part) into `folder`: JSON, the same bytes for the same manifest.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub fn write(&self, folder: &Path) -> Result<(), DataError> {
        self.write_as(&folder.join(Manifest::FILE))?;
        for split in Split::ALL {
            let images = self.images.iter().filter(|entry| entry.split == split).cloned().collect();
            Manifest { images, ..self.clone() }.write_as(&folder.join(Manifest::part(split)))?;
        }
        Ok(())
    }

    fn write_as(&self, path: &Path) -> Result<(), DataError> {
        let write = || {
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            std::fs::write(path, text)
        };
        write().map_err(DataError::writing(path))
    }

    /// As [`check_channels`](crate::check_channels()), for the images of `splits`; those without masks only if not `labelled`.
    ///
    /// # Errors
    /// As there.
    pub fn check_channels(&self, splits: &[Split], labelled: bool, in_channels: usize) -> Result<(), String> {
        let entries = self.images.iter().filter(|entry| splits.contains(&entry.split));
        let entries = entries.filter(|entry| entry.mask.is_some() || !labelled);
        check_channels("images", entries.map(|entry| (entry.image.as_str(), entry.channels)), in_channels)
    }

    /// What values and colours in mask files mean.
    pub(crate) fn legend(&self) -> Legend {
        Legend {
            values: self.label_values.clone(),
            colors: self.label_colors.clone(),
            other_color: self.other_color,
            page: self.options.page,
        }
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
