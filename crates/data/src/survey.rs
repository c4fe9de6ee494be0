//! A data set in numbers: splits, sizes, how pixels are stored, shares of classes, patches.

use super::patches::{PatchParams, positions};
use super::{Manifest, Split};
use image::{ExtendedColorType, ImageDecoder, ImageFormat, ImageReader};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of [`survey`]: it goes up when the same images would give another result.
pub const CODE_VERSION: u32 = 1;

/// A data set in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// Number of images.
    pub images: usize,
    /// Splits that hold images.
    pub splits: Vec<SplitSurvey>,
    /// Sizes (width, height) of the images as they are read, without info band and after resizing, with the number of images.
    /// The most frequent comes first.
    pub sizes: Vec<((usize, usize), usize)>,
    /// How image files store their pixels (`"8-bit RGB jpg"`), with the number of files. The most frequent comes first.
    pub stored: Vec<(String, usize)>,
    /// Number of images that are grey, however they are stored.
    pub grey: usize,
}

/// One split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitSurvey {
    /// The split.
    pub split: Split,
    /// Number of its images.
    pub images: usize,
    /// Share of each class in its annotated pixels; empty without masks.
    pub shares: Vec<f64>,
    /// Number of images in which each class occurs.
    pub images_with: Vec<usize>,
}

/// Largest number of sizes, or of kinds of files, that are listed; the others are counted.
const LISTED: usize = 4;

impl Survey {
    /// `10: 3 train, 1 val, 2 test, 4 unlabeled`.
    pub fn images_in_words(&self) -> String {
        let splits = self.splits.iter().map(|split| format!("{} {}", split.images, split.split.name()));
        format!("{}: {}", self.images, splits.collect::<Vec<_>>().join(", "))
    }

    /// `1024×703 (30), 1280×895 (12)`.
    pub fn sizes_in_words(&self) -> String {
        listed(self.sizes.iter().map(|((width, height), count)| (format!("{width}×{height}"), *count)))
    }

    /// `8-bit RGB jpg; all are grey`.
    pub fn stored_in_words(&self) -> String {
        let grey = match self.grey {
            0 => String::new(),
            all if all == self.images => "; all are grey".into(),
            some => format!("; {some} are grey"),
        };
        listed(self.stored.iter().cloned()) + &grey
    }
}

fn listed(items: impl ExactSizeIterator<Item = (String, usize)>) -> String {
    let more = items.len().saturating_sub(LISTED);
    let only = items.len() == 1;
    let shown: Vec<String> =
        items.take(LISTED).map(|(what, count)| if only { what } else { format!("{what} ({count})") }).collect();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// Counts the content of a checked data set. `path_of` gives the path of an image file, of which only the header is read.
pub fn survey(manifest: &Manifest, path_of: &(dyn Fn(&str) -> Option<PathBuf> + Sync)) -> Survey {
    let splits = [Split::Train, Split::Val, Split::Test, Split::Unlabeled];
    let splits = splits.into_iter().filter_map(|split| {
        let entries = manifest.entries(split);
        let pixels = manifest.class_pixels(split);
        let all: u64 = pixels.iter().sum();
        let shares = match all {
            0 => Vec::new(),
            all => pixels.iter().map(|&pixels| pixels as f64 / all as f64).collect(),
        };
        let with = |class: usize| entries.iter().filter(|e| e.class_pixels.get(class).is_some_and(|&n| n > 0)).count();
        let images_with = if shares.is_empty() { Vec::new() } else { (0..pixels.len()).map(with).collect() };
        let images = entries.len();
        (images > 0).then_some(SplitSurvey { split, images, shares, images_with })
    });
    let stored: Vec<String> = manifest
        .images
        .par_iter()
        .map(|entry| path_of(&entry.image).and_then(|path| stored_as(&path)).unwrap_or_else(|| "not known".into()))
        .collect();
    Survey {
        images: manifest.images.len(),
        splits: splits.collect(),
        sizes: most_frequent(manifest.images.iter().map(|entry| (entry.width, entry.height))),
        stored: most_frequent(stored),
        grey: manifest.images.iter().filter(|entry| entry.channels == 1).count(),
    }
}

/// Number of patches that a `patchify` stage cuts from a data set.
pub fn patches(manifest: &Manifest, params: &PatchParams) -> usize {
    let along = |length: usize| positions(length, params.size, params.overlap, params.edge).len();
    let of = manifest.images.iter().filter(|entry| params.from.splits().contains(&entry.split));
    of.map(|entry| along(entry.width) * along(entry.height)).sum()
}

fn most_frequent<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    // The sort is stable: equal counts keep their order.
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// `8-bit RGB jpg`, from the file's header.
pub(crate) fn stored_as(path: &Path) -> Option<String> {
    let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    let format = match reader.format()? {
        ImageFormat::Jpeg => "jpg",
        ImageFormat::Tiff => "tif",
        ImageFormat::Png => "png",
        ImageFormat::Bmp => "bmp",
        _ => "other",
    };
    let colour = reader.into_decoder().ok()?.original_color_type();
    let channels = match colour.channel_count() {
        1 => "grey",
        2 => "grey with alpha",
        3 => "RGB",
        4 if matches!(colour, ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) => "CMYK",
        _ => "RGBA",
    };
    let depth = colour.bits_per_pixel() / u16::from(colour.channel_count()).max(1);
    Some(format!("{depth}-bit {channels} {format}"))
}
