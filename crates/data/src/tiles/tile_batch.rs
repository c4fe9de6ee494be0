//! Tiles that a network takes at once, before they are normalised.

use super::Tiling;
use crate::augment::normalize;
use crate::{Micrograph, Symmetry};
use rayon::prelude::*;

/// Tiles of one size, 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileBatch {
    /// Side of a tile in pixels.
    pub side: usize,
    /// Channels of the pixels.
    pub channels: usize,
    /// `[tiles, side, side, channels]`.
    pub pixels: Vec<u8>,
}

impl TileBatch {
    /// No tiles yet.
    pub fn new(side: usize, channels: usize) -> Self {
        TileBatch { side, channels, pixels: Vec::new() }
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.values_of_a_tile()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Adds tile `i` of `tiling`. `rows` are the image's rows from `first` on; they hold [`Tiling::rows`] of the tile. A grey
    /// image has its values repeated in all channels.
    ///
    /// # Panics
    /// If the side is not that of the tiling, or an image that is not grey has another number of channels.
    pub fn push(&mut self, tiling: &Tiling, i: usize, rows: &Micrograph, first: usize) {
        assert_eq!(tiling.tile, self.side, "side of a tile");
        let start = self.pixels.len();
        self.pixels.resize(start + self.values_of_a_tile(), 0);
        tiling.cut(i, rows, first, self.channels, &mut self.pixels[start..]);
    }

    /// Each tile changed by `symmetry`.
    #[must_use]
    pub fn turned(&self, symmetry: Symmetry) -> Self {
        if symmetry == Symmetry::Identity {
            return self.clone();
        }
        let (side, channels) = (self.side, self.channels);
        let mut pixels = vec![0; self.pixels.len()];
        let tiles =
            pixels.chunks_exact_mut(self.values_of_a_tile()).zip(self.pixels.chunks_exact(self.values_of_a_tile()));
        for (out, tile) in tiles {
            for (i, pixel) in out.chunks_exact_mut(channels).enumerate() {
                let (x, y) = symmetry.origin((i % side, i / side), (side, side));
                pixel.copy_from_slice(&tile[(y * side + x) * channels..][..channels]);
            }
        }
        TileBatch { side, channels, pixels }
    }

    /// Normalised for a network of `in_channels`: `[tiles, side, side, in_channels]`.
    ///
    /// # Panics
    /// If the images do not fit the network ([`fits`](crate::fits)).
    pub fn normalized(&self, in_channels: usize) -> Vec<f32> {
        let tile = self.side * self.side * in_channels;
        let mut out = vec![0.0; self.len() * tile];
        out.par_chunks_mut(tile).zip(self.pixels.par_chunks(self.values_of_a_tile())).for_each(|(out, pixels)| {
            let values: Vec<f32> = pixels.iter().map(|&value| f32::from(value)).collect();
            out.copy_from_slice(&normalize(&values, self.channels, in_channels));
        });
        out
    }

    fn values_of_a_tile(&self) -> usize {
        self.side * self.side * self.channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(image: &Micrograph, side: usize, channels: usize) -> TileBatch {
        let tiling = Tiling::new(image.width, image.height, side, 0.5);
        let mut batch = TileBatch::new(side, channels);
        (0..tiling.corners.len()).for_each(|i| batch.push(&tiling, i, image, 0));
        batch
    }

    #[test]
    fn a_tile_has_the_channels_of_its_image() {
        let image = Micrograph { width: 2, height: 1, channels: 2, pixels: vec![10, 200, 20, 210] };
        let values = [10.0, 200.0, 20.0, 210.0].repeat(2);
        assert_eq!(batch(&image, 2, 2).normalized(2), normalize(&values, 2, 2));
    }

    #[test]
    #[should_panic(expected = "an image of 2 channels for a network of 3")]
    fn an_image_for_another_network_is_no_tile() {
        let image = Micrograph { width: 1, height: 1, channels: 2, pixels: vec![1, 2] };
        batch(&image, 1, 2).normalized(3);
    }

    #[test]
    fn a_small_image_is_mirrored_into_its_tile() {
        let image = Micrograph { width: 2, height: 1, channels: 1, pixels: vec![10, 20] };
        let expected = normalize(&[10.0, 20.0, 10.0].repeat(3), 1, 3);
        assert_eq!(batch(&image, 3, 1).pixels, [10, 20, 10].repeat(3));
        for channels in [1, 3] {
            let tiles = batch(&image, 3, channels);
            assert_eq!((tiles.len(), tiles.normalized(3)), (1, expected.clone()));
        }
    }

    #[test]
    fn tiles_are_turned_one_by_one() {
        let tile = |pixels: [u8; 4]| pixels.map(|value| [value, value + 100]).concat();
        let tiles = TileBatch { side: 2, channels: 2, pixels: [tile([1, 2, 3, 4]), tile([5, 6, 7, 8])].concat() };
        let turned = |symmetry| tiles.turned(symmetry).pixels;
        assert_eq!(turned(Symmetry::Identity), tiles.pixels);
        assert_eq!(turned(Symmetry::MirroredX), [tile([2, 1, 4, 3]), tile([6, 5, 8, 7])].concat());
        assert_eq!(turned(Symmetry::MirroredY), [tile([3, 4, 1, 2]), tile([7, 8, 5, 6])].concat());
        assert_eq!(turned(Symmetry::Turned90), [tile([3, 1, 4, 2]), tile([7, 5, 8, 6])].concat());
    }
}
