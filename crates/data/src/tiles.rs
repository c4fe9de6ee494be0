//! Images larger than the network's input: overlapping tiles, and one probability map from the tiles' outputs.

use super::augment::{normalize, reflect};
use super::patches::{Edge, positions};
use super::{Mask, Micrograph};

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

    /// Tile `i` of `image` for a network of `in_channels`, normalised, `[tile, tile, in_channels]`. Outside the image, the image
    /// is mirrored.
    ///
    /// # Panics
    /// If the image does not fit the network ([`fits`](crate::fits)).
    pub fn cut(&self, image: &Micrograph, i: usize, in_channels: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.tile * self.tile * image.channels);
        self.each_pixel(image, i, |pixel| values.extend(pixel.iter().map(|&v| f32::from(v))));
        normalize(&values, image.channels, in_channels)
    }

    /// The same before it is normalised, for a GPU, in `channels` channels (those of the image, or 3). Writes all of `out`
    /// `[tile, tile, channels]`.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn cut_bytes(&self, image: &Micrograph, i: usize, channels: usize, out: &mut [u8]) {
        assert_eq!(out.len(), self.tile * self.tile * channels, "length of a tile");
        let mut pixels = out.chunks_exact_mut(channels);
        self.each_pixel(image, i, |pixel| match (pixels.next(), pixel) {
            (Some(out), &[grey]) => out.fill(grey),
            (Some(out), rgb) => out.copy_from_slice(rgb),
            (None, _) => {}
        });
    }

    #[inline(always)]
    fn each_pixel(&self, image: &Micrograph, i: usize, mut take: impl FnMut(&[u8])) {
        let ((left, top), channels) = (self.corners[i], image.channels);
        for y in 0..self.tile {
            let row = reflect(top + y, self.height) * self.width;
            for x in 0..self.tile {
                let at = (row + reflect(left + x, self.width)) * channels;
                take(&image.pixels[at..at + channels]);
            }
        }
    }
}

/// Adds up the class probabilities of tiles, weighted by a smooth window, so that no seam is visible.
pub struct Stitch<'a> {
    tiling: &'a Tiling,
    classes: usize,
    /// sin² over a tile's side, positive everywhere.
    window: Vec<f32>,
    /// `[height, width, classes]`.
    sums: Vec<f32>,
    /// `[height, width]`.
    weights: Vec<f32>,
}

impl<'a> Stitch<'a> {
    /// Sums of zero tiles.
    pub fn new(tiling: &'a Tiling, classes: usize) -> Self {
        let pixels = tiling.width * tiling.height;
        let phase = |i: usize| std::f32::consts::PI * (i as f32 + 0.5) / tiling.tile as f32;
        let window = (0..tiling.tile).map(|i| phase(i).sin().powi(2)).collect();
        Stitch { tiling, classes, window, sums: vec![0.0; pixels * classes], weights: vec![0.0; pixels] }
    }

    /// Adds tile `i`: probabilities `[tile, tile, classes]`. Sums are taken in the order of the calls.
    pub fn add(&mut self, i: usize, probabilities: &[f32]) {
        let (left, top) = self.tiling.corners[i];
        let (tile, classes, width) = (self.tiling.tile, self.classes, self.tiling.width);
        for y in 0..tile.min(self.tiling.height - top) {
            for x in 0..tile.min(width - left) {
                let weight = self.window[y] * self.window[x];
                let to = (top + y) * width + left + x;
                let from = (y * tile + x) * classes;
                self.weights[to] += weight;
                let sums = &mut self.sums[to * classes..(to + 1) * classes];
                for (sum, p) in sums.iter_mut().zip(&probabilities[from..from + classes]) {
                    *sum += weight * p;
                }
            }
        }
    }

    /// The mean probabilities `[height, width, classes]`.
    pub fn probabilities(mut self) -> Vec<f32> {
        for (sums, weight) in self.sums.chunks_exact_mut(self.classes).zip(&self.weights) {
            sums.iter_mut().for_each(|sum| *sum /= weight);
        }
        self.sums
    }

    /// The most probable class of each pixel; the first of equally probable ones.
    pub fn labels(&self) -> Mask {
        let best = |sums: &[f32]| (1..sums.len()).fold(0, |best, c| if sums[c] > sums[best] { c } else { best }) as u8;
        let labels = self.sums.chunks_exact(self.classes).map(best).collect();
        Mask { width: self.tiling.width, height: self.tiling.height, labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_pixel_is_covered_and_constant_tiles_stitch_to_a_constant(
            width in 1usize..70, height in 1usize..70, tile in 1usize..40, overlap in 0.0f64..0.9,
        ) {
            let tiling = Tiling::new(width, height, tile, overlap);
            let mut stitch = Stitch::new(&tiling, 2);
            let constant: Vec<f32> = (0..tile * tile).flat_map(|_| [0.25, 0.75]).collect();
            for i in 0..tiling.corners.len() {
                stitch.add(i, &constant);
            }
            prop_assert!(stitch.weights.iter().all(|&w| w > 0.0));
            for pair in stitch.probabilities().as_chunks::<2>().0 {
                prop_assert!((pair[0] - 0.25).abs() < 1e-5 && (pair[1] - 0.75).abs() < 1e-5);
            }
        }

        #[test]
        fn tiles_cut_from_a_label_map_stitch_to_it(
            width in 1usize..50, height in 1usize..50, tile in 1usize..30, overlap in 0.0f64..0.9,
        ) {
            let truth: Vec<u8> = (0..width * height).map(|i| (i * 7 % 3) as u8).collect();
            let tiling = Tiling::new(width, height, tile, overlap);
            let mut stitch = Stitch::new(&tiling, 3);
            for (i, &(left, top)) in tiling.corners.iter().enumerate() {
                let one_hot: Vec<f32> = (0..tile * tile * 3).map(|j| {
                    let (x, y) = (left + j / 3 % tile, top + j / 3 / tile);
                    let label = truth[reflect(y, height) * width + reflect(x, width)];
                    f32::from(usize::from(label) == j % 3)
                }).collect();
                stitch.add(i, &one_hot);
            }
            prop_assert_eq!(stitch.labels().labels, truth);
        }
    }

    #[test]
    fn a_tile_has_the_channels_of_its_image() {
        let image = Micrograph { width: 2, height: 1, channels: 2, pixels: vec![10, 200, 20, 210] };
        let tiling = Tiling::new(2, 1, 2, 0.0);
        let values = [10.0, 200.0, 20.0, 210.0].repeat(2);
        assert_eq!(tiling.cut(&image, 0, 2), normalize(&values, 2, 2));
    }

    #[test]
    #[should_panic(expected = "an image of 2 channels for a network of 3")]
    fn an_image_for_another_network_is_no_tile() {
        let image = Micrograph { width: 1, height: 1, channels: 2, pixels: vec![1, 2] };
        Tiling::new(1, 1, 1, 0.0).cut(&image, 0, 3);
    }

    #[test]
    fn a_small_image_is_mirrored_into_its_tile() {
        let image = Micrograph { width: 2, height: 1, channels: 1, pixels: vec![10, 20] };
        let tiling = Tiling::new(2, 1, 3, 0.5);
        assert_eq!(tiling.corners, [(0, 0)]);
        let expected = normalize(&[10.0, 20.0, 10.0].repeat(3), 1, 3);
        assert_eq!(tiling.cut(&image, 0, 3), expected);
        for channels in [1, 3] {
            let mut bytes = vec![0; 9 * channels];
            tiling.cut_bytes(&image, 0, channels, &mut bytes);
            let values: Vec<f32> = bytes.into_iter().map(f32::from).collect();
            assert_eq!(normalize(&values, channels, 3), expected);
        }
    }
}
