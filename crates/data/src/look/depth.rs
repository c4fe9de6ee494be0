//! How many bits 16-bit images really use.

use super::sample::sample;
use crate::decode::{ImageOptions, decode_image, stored_as};
use std::path::{Path, PathBuf};

/// Depths of cameras.
const DEPTHS: [u8; 5] = [8, 10, 12, 14, 16];
/// Most images that are decoded.
const MOST: usize = 12;

/// The smallest usual depth that holds every value of a sample of the 16-bit images among `paths`; `None` without such
/// images.
pub(super) fn bits(paths: &[PathBuf]) -> Option<u8> {
    let is_deep = |path: &&PathBuf| stored_as(path, None).is_some_and(|stored| stored.starts_with("16-bit"));
    let deep: Vec<&PathBuf> = sample(paths, 20 * MOST).filter(is_deep).collect();
    let mut depths = DEPTHS.iter().peekable();
    let mut seen = false;
    for path in sample(&deep, MOST) {
        let Ok(bytes) = std::fs::read(path) else { continue };
        // What cannot be read with 16 bits cannot be read at all.
        if !holds(path, &bytes, 16) {
            continue;
        }
        seen = true;
        while depths.next_if(|&&depth| depth < 16 && !holds(path, &bytes, depth)).is_some() {}
    }
    depths.peek().copied().copied().filter(|_| seen)
}

fn holds(path: &Path, bytes: &[u8], bits: u8) -> bool {
    decode_image(path, bytes, &ImageOptions { bits: Some(bits), ..ImageOptions::default() }).is_ok()
}
