//! What identifies an image among others.

use super::band::Grey;
use super::landmark::{Tile, tiles};
use crate::Micrograph;

/// What is kept in memory of an image while all images are compared.
pub(super) struct Fingerprint {
    /// Width and height.
    pub(super) size: (usize, usize),
    /// Hash of all pixels.
    pub(super) pixels: blake3::Hash,
    /// Tiles around the image's landmarks.
    pub(super) tiles: Vec<Tile>,
}

impl Fingerprint {
    /// The fingerprint of `image`.
    pub(super) fn of(image: &Micrograph) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(image.width as u64).to_le_bytes()).update(&(image.channels as u64).to_le_bytes());
        let pixels = hasher.update(&image.pixels).finalize();
        let tiles = tiles(&Grey::of(image));
        Fingerprint { size: (image.width, image.height), pixels, tiles }
    }
}
