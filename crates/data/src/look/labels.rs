//! What masks hold: label values or colours, with their shares.

use crate::decode::{decode_colors, decode_mask};
use crate::{Color, DataError};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A label value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundValue {
    /// The value in the files.
    pub value: u8,
    /// Its share of the pixels that were looked at.
    pub share: f64,
    /// Number of masks that hold it, of those that were looked at.
    pub masks: usize,
}

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundColor {
    /// The colour in the files.
    pub color: Color,
    /// Its share of the pixels that were looked at.
    pub share: f64,
    /// Number of masks that hold it, of those that were looked at.
    pub masks: usize,
}

/// What a sample of masks holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Sorted by value; empty if masks are in colours.
    pub(super) values: Vec<FoundValue>,
    /// The most frequent first; empty if masks hold values.
    pub(super) colors: Vec<FoundColor>,
    /// Number of masks that were read.
    pub(super) read: usize,
    /// Why masks could not be read.
    pub(super) errors: Vec<DataError>,
}

/// More colours than this are no classes: a photograph, or smoothed edges.
pub(super) const MOST_COLORS: usize = 64;
/// More values than this in one file are no mask.
const MOST_VALUES: usize = 64;
/// Colours that are counted exactly; of a photograph no more are needed.
const COUNTED: usize = 4096;

/// Reads the masks `paths`: as label values if all of them can be read so, otherwise as colours.
pub(super) fn contents(paths: &[PathBuf]) -> Contents {
    let read: Vec<Result<[u64; 256], DataError>> = paths.par_iter().map(|path| values(path)).collect();
    let as_values = read.iter().filter(|read| read.is_ok()).count();
    if as_values < paths.len() {
        let colors: Vec<Result<BTreeMap<Color, u64>, DataError>> = paths.par_iter().map(|path| colors(path)).collect();
        // A file that can be read in neither way says nothing about the others.
        if colors.iter().filter(|read| read.is_ok()).count() > as_values {
            return Contents::of_colors(colors);
        }
    }
    Contents::of_values(read)
}

impl Contents {
    fn of_values(read: Vec<Result<[u64; 256], DataError>>) -> Contents {
        let mut contents = Contents::default();
        let (mut pixels, mut masks) = ([0u64; 256], [0usize; 256]);
        for counts in read {
            match counts {
                Ok(counts) => {
                    contents.read += 1;
                    for value in 0..256 {
                        pixels[value] += counts[value];
                        masks[value] += usize::from(counts[value] > 0);
                    }
                }
                Err(error) => contents.errors.push(error),
            }
        }
        let all = pixels.iter().sum::<u64>().max(1) as f64;
        let found = (0..=u8::MAX).filter(|&value| masks[usize::from(value)] > 0);
        contents.values = found
            .map(|value| FoundValue {
                value,
                share: pixels[usize::from(value)] as f64 / all,
                masks: masks[usize::from(value)],
            })
            .collect();
        contents
    }

    fn of_colors(read: Vec<Result<BTreeMap<Color, u64>, DataError>>) -> Contents {
        let mut contents = Contents::default();
        let mut counts: BTreeMap<Color, (u64, usize)> = BTreeMap::new();
        for colors in read {
            match colors {
                Ok(colors) => {
                    contents.read += 1;
                    for (color, pixels) in colors {
                        let (all, masks) = counts.entry(color).or_default();
                        *all += pixels;
                        *masks += 1;
                    }
                }
                Err(error) => contents.errors.push(error),
            }
        }
        let all = counts.values().map(|(pixels, _)| pixels).sum::<u64>().max(1) as f64;
        contents.colors = counts
            .into_iter()
            .map(|(color, (pixels, masks))| FoundColor { color, share: pixels as f64 / all, masks })
            .collect();
        contents.colors.sort_by(|a, b| b.share.total_cmp(&a.share));
        contents
    }
}

/// Whether a file holds few values or few colours.
pub(super) fn looks_like_a_mask(path: &Path) -> bool {
    match values(path) {
        Ok(counts) => counts.iter().filter(|&&count| count > 0).count() <= MOST_VALUES / 2,
        Err(_) => colors(path).is_ok_and(|colors| colors.len() <= MOST_COLORS / 2),
    }
}

/// Pixels of each label value.
fn values(path: &Path) -> Result<[u64; 256], DataError> {
    let mask = decode_mask(path, &std::fs::read(path).map_err(DataError::reading(path))?, None)?;
    let mut counts = [0; 256];
    for label in mask.labels {
        counts[usize::from(label)] += 1;
    }
    Ok(counts)
}

/// Pixels of each colour; of very many colours only the first are counted.
fn colors(path: &Path) -> Result<BTreeMap<Color, u64>, DataError> {
    let image = decode_colors(path, &std::fs::read(path).map_err(DataError::reading(path))?, None)?;
    let mut counts: BTreeMap<Color, u64> = BTreeMap::new();
    for pixel in image.pixels.chunks_exact(image.channels) {
        let color = Color(<[u8; 3]>::try_from(pixel).unwrap_or([pixel[0]; 3]));
        if counts.len() < COUNTED || counts.contains_key(&color) {
            *counts.entry(color).or_default() += 1;
        }
    }
    Ok(counts)
}
