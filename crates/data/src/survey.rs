//! A data set in numbers: splits, sizes, how pixels are stored, shares of classes, patches.

use super::patches::{PatchParams, positions};
use super::pixel_size::in_words;
use super::{Entry, Manifest, Split, decode};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Version of [`survey`]: it goes up when the same images would give another result.
pub const CODE_VERSION: u32 = 2;

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
    /// Orientations (2 to 8) in which image files store their pixels, with the number of images. The most frequent comes
    /// first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turned: Vec<(u8, usize)>,
    /// Sizes of a pixel as images are read, in words (`"12.5 nm"`, `"unknown"`), with the number of images. The most
    /// frequent comes first.
    #[serde(default)]
    pub pixel_sizes: Vec<(String, usize)>,
    /// Where the sizes of a pixel come from: `"experiment"`, or whose metadata. The most frequent comes first.
    #[serde(default)]
    pub pixel_sizes_from: Vec<String>,
    /// What `crop` and `window` cut, in words (`"60 px at the bottom"`), with the number of images. The most frequent comes first.
    #[serde(default)]
    pub crops: Vec<(String, usize)>,
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

    /// `8-bit RGB jpg; all are grey; 3 are turned as their file says (orientation 3)`.
    pub fn stored_in_words(&self) -> String {
        let grey = match self.grey {
            0 => String::new(),
            all if all == self.images => "; all are grey".into(),
            some => format!("; {some} are grey"),
        };
        let orientations = self.turned.iter().map(|(orientation, _)| orientation.to_string()).collect::<Vec<_>>();
        let turned = match (self.turned.iter().map(|(_, count)| count).sum::<usize>(), &orientations[..]) {
            (0, _) => String::new(),
            (1, _) => format!("; 1 image is turned as its file says (orientation {})", orientations[0]),
            (count, [one]) => format!("; {count} images are turned as their files say (orientation {one})"),
            (count, several) => {
                format!("; {count} images are turned as their files say (orientations {})", several.join(", "))
            }
        };
        listed(self.stored.iter().cloned()) + &grey + &turned
    }

    /// `12.5 nm (30), 25 nm (12), unknown (2); from FEI metadata`. `None` if no size is known.
    pub fn pixel_sizes_in_words(&self) -> Option<String> {
        if self.pixel_sizes_from.is_empty() {
            return None;
        }
        let from = self.pixel_sizes_from.iter().map(|from| match from.as_str() {
            EXPERIMENT => "the experiment".to_owned(),
            vendor => format!("{vendor} metadata"),
        });
        let from = from.collect::<Vec<_>>().join(", ");
        Some(format!("{}; from {from}", listed(self.pixel_sizes.iter().cloned())))
    }

    /// `59 px at the bottom (30), nothing (2)`. `None` without `crop` and `window`.
    pub fn crops_in_words(&self) -> Option<String> {
        (!self.crops.is_empty()).then(|| listed(self.crops.iter().cloned()))
    }
}

/// The word in a manifest for a size of a pixel that is given in the experiment.
const EXPERIMENT: &str = "experiment";

fn pixel_size_in_words(entry: &Entry) -> String {
    match entry.pixel_size {
        None => "unknown".into(),
        // Within rounding of the image's size to whole pixels.
        Some([across, down]) if (down / across - 1.0).abs() < 0.01 => in_words(across),
        Some([across, down]) => format!("{} × {}", in_words(across), in_words(down)),
    }
}

/// What is cut from an image, if the data set has `crop` or `window`.
fn crop_in_words(entry: &Entry) -> String {
    let mut cut: Vec<String> = Vec::new();
    if let Some((width, height)) = entry.file_size {
        let whole = (entry.offset.unwrap_or_default(), entry.cropped());
        let ((left, top), part) = entry.window_of.unwrap_or(whole);
        let margins = [
            (height.saturating_sub(top + part.1), "at the bottom"),
            (top, "at the top"),
            (left, "on the left"),
            (width.saturating_sub(left + part.0), "on the right"),
        ];
        cut.extend(
            margins.iter().filter(|(pixels, _)| *pixels > 0).map(|(pixels, side)| format!("{pixels} px {side}")),
        );
    }
    if let Some(((left, top), _)) = entry.window_of {
        let ((x, y), (width, height)) = (entry.offset.unwrap_or_default(), entry.cropped());
        cut.push(format!("all but {width}×{height} px at ({}, {})", x - left, y - top));
    }
    if cut.is_empty() { "nothing".into() } else { cut.join(", ") }
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
        .map(|entry| {
            path_of(&entry.image)
                .and_then(|path| decode::stored_as(&path, manifest.options.page))
                .unwrap_or_else(|| "not known".into())
        })
        .collect();
    Survey {
        images: manifest.images.len(),
        splits: splits.collect(),
        sizes: most_frequent(manifest.images.iter().map(|entry| (entry.width, entry.height))),
        stored: most_frequent(stored),
        grey: manifest.images.iter().filter(|entry| entry.channels == 1).count(),
        turned: most_frequent(manifest.images.iter().filter_map(|entry| entry.orientation)),
        pixel_sizes: most_frequent(manifest.images.iter().map(pixel_size_in_words)),
        pixel_sizes_from: {
            let sources = most_frequent(manifest.images.iter().filter_map(|entry| entry.pixel_size_from.clone()));
            sources.into_iter().map(|(source, _)| source).collect()
        },
        crops: match manifest.images.iter().any(|entry| entry.file_size.is_some() || entry.window_of.is_some()) {
            true => most_frequent(manifest.images.iter().map(crop_in_words)),
            false => Vec::new(),
        },
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
