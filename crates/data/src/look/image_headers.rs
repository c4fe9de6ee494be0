//! What the headers of image files say.

use super::sample::sample;
use crate::decode::stored_as;
use image::ImageReader;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most headers that are read.
const MOST: usize = 2000;

/// Width and height of each of an evenly spaced part of `images` (paths inside `root`); those that cannot be read are left
/// out.
pub(super) fn sizes(root: &Path, images: &[String]) -> Vec<(usize, usize)> {
    let chosen: Vec<&String> = sample(images, MOST).collect();
    chosen.into_par_iter().filter_map(|image| size(&root.join(image))).collect()
}

/// Width and height by the header.
pub(super) fn size(path: &Path) -> Option<(usize, usize)> {
    let (width, height) = ImageReader::open(path).ok()?.with_guessed_format().ok()?.into_dimensions().ok()?;
    Some((width as usize, height as usize)).filter(|(width, height)| width * height > 0)
}

/// How the files store their pixels, `"16-bit grey tif"`, with the number of files, the most frequent first.
pub(super) fn stored(paths: &[PathBuf]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for stored in paths.iter().filter_map(|path| stored_as(path, None)) {
        *counts.entry(stored).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}
