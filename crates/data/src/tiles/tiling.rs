//! Where the tiles of an image lie.

use crate::Micrograph;
use crate::augment::reflect;
use crate::patches::{Edge, positions};
use std::ops::Range;

/// How an image is covered by square tiles.
#[derive(Clone, Debug)]
pub struct Tiling {
    /// The image's width.
    pub width: usize,
    /// The image's height.
    pub height: usize,
    /// Side of a tile in pixels.
    pub tile: usize,
    /// Column and row of each tile's top left corner, row by row. Together the tiles cover every pixel.
    pub corners: Vec<(usize, usize)>,
}

impl Tiling {
    /// Tiles of `tile` pixels that overlap by the share `overlap` (0 to below 1) of their side. The last one of a row or column
    /// is shifted back to the image's edge. An image smaller than a tile has one tile.
    pub fn new(width: usize, height: usize, tile: usize, overlap: f64) -> Self {
        let columns = positions(width, tile, overlap, Edge::Shift);
        let rows = positions(height, tile, overlap, Edge::Shift);
        let corners = rows.iter().flat_map(|&y| columns.iter().map(move |&x| (x, y))).collect();
        Tiling { width, height, tile, corners }
    }

    /// The rows of the image that tile `i` covers.
    pub fn rows(&self, i: usize) -> Range<usize> {
        let top = self.corners[i].1;
        top..(top + self.tile).min(self.height)
    }

    /// Writes tile `i` to all of `out` `[tile, tile, channels]`. `rows` are the image's rows from `first` on; they hold
    /// [`Tiling::rows`] of the tile. Outside the image, the image is mirrored. A grey image has its values repeated in
    /// all `channels`.
    ///
    /// # Panics
    /// If `out` has another length, or an image that is not grey has not `channels` channels.
    pub(super) fn cut(&self, i: usize, rows: &Micrograph, first: usize, channels: usize, out: &mut [u8]) {
        assert_eq!(out.len(), self.tile * self.tile * channels, "length of a tile");
        assert!([1, channels].contains(&rows.channels), "{} channels in a tile of {channels}", rows.channels);
        let (left, top) = self.corners[i];
        let inside = self.tile.min(self.width - left);
        for (y, out) in out.chunks_exact_mut((self.tile * channels).max(1)).enumerate() {
            let row = &rows.pixels[(reflect(top + y, self.height) - first) * self.width * rows.channels..];
            if rows.channels == channels {
                out[..inside * channels].copy_from_slice(&row[left * channels..][..inside * channels]);
            }
            let copied = if rows.channels == channels { inside } else { 0 };
            for (x, out) in out.chunks_exact_mut(channels).enumerate().skip(copied) {
                let at = reflect(left + x, self.width) * rows.channels;
                match row[at..at + rows.channels] {
                    [grey] => out.fill(grey),
                    ref pixel => out.copy_from_slice(pixel),
                }
            }
        }
    }
}
