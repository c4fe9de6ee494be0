//! A pixel that a crop is to hold.

use matssl_base::random::Stream;

/// A pixel (column, row) of an image, and the random numbers that choose where in the crop it lies.
pub(crate) struct Target {
    pub(crate) pixel: [usize; 2],
    pub(crate) stream: Stream,
}

/// Attempts to find a place for a crop that is scaled or turned, inside the image.
const ATTEMPTS: usize = 32;

impl Target {
    /// The corner (left, top) of a crop of `size` in `image` (width, height), which is only moved: all that hold the pixel are equally
    /// likely. An image smaller than the crop lies in it whole, from its corner on.
    pub(super) fn corner(mut self, (image, size): ([usize; 2], [usize; 2])) -> [usize; 2] {
        [0, 1].map(|axis| {
            let (at, length) = (self.pixel[axis], size[axis]);
            let Some(room) = image[axis].checked_sub(length) else { return 0 };
            let (first, last) = ((at + 1).saturating_sub(length), at.min(room));
            first + self.stream.below((last - first) as u64 + 1) as usize
        })
    }

    /// The corner of a crop whose pixel (x, y) comes from the point `place` (column, row) of the crop. The target is seen at a pixel of
    /// the crop that is drawn until the crop lies in the image (or the image in the crop). If it never does, at the edge of an image
    /// that is enlarged, the crop reaches as little beyond the image as any that was drawn; there the image is mirrored.
    pub(super) fn corner_of_warped(
        mut self,
        (image, size): ([usize; 2], [usize; 2]),
        place: impl Fn(usize, usize) -> [f64; 2],
    ) -> [f64; 2] {
        let mut best = (f64::INFINITY, [0.0; 2]);
        for _ in 0..ATTEMPTS {
            let [x, y] = size.map(|length| self.stream.below(length as u64) as usize);
            let seen = place(x, y);
            let corner = [0, 1].map(|axis| self.pixel[axis] as f64 - (seen[axis] + 0.5).floor());
            // Not so if the point is half way between two pixels.
            if (0..2).any(|axis| (corner[axis] + seen[axis]).round() != self.pixel[axis] as f64) {
                continue;
            }
            let beyond = [0, 1].map(|axis| {
                let room = image[axis] as f64 - size[axis] as f64;
                (corner[axis] - room.max(0.0)).max(room.min(0.0) - corner[axis]).max(0.0)
            });
            let beyond = beyond[0] + beyond[1];
            if beyond < best.0 {
                best = (beyond, corner);
            }
            if beyond == 0.0 {
                break;
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FinetuneAugment, FinetunePreset, Scratch, augment_pair, filled_vec};
    use super::*;
    use crate::{Mask, Micrograph};
    use proptest::prelude::*;

    /// The labels of a crop of 16 pixels from an image where only `pixel` has the label 1.
    fn labels(size: [usize; 2], pixel: [usize; 2], params: &FinetuneAugment, seed: u64) -> Vec<u8> {
        let [width, height] = size;
        let mut mask = Mask { width, height, labels: vec![0; width * height] };
        mask.labels[pixel[1] * width + pixel[0]] = 1;
        let image = Micrograph { width, height, channels: 1, pixels: vec![7; width * height] };
        let (mut stream, mut scratch) = (Stream::new(seed, "crop", 0, 0), Scratch::default());
        let target = Target { pixel, stream: Stream::new(seed, "target", 0, 0) };
        let make = |labels: &mut [_]| {
            augment_pair(&image, &mask, params, Some(target), &mut stream, &mut scratch, labels);
        };
        // SAFETY: `augment_pair` writes all labels or panics.
        unsafe { filled_vec(256, make) }.0
    }

    proptest! {
        /// Also where the crop is turned, scaled and bent, at the edges, and in images smaller than a crop.
        #[test]
        fn the_pixel_is_in_the_crop(
            width in 3usize..60, height in 3usize..60, at in any::<[prop::sample::Index; 2]>(), edge in 0usize..4,
            strength in 0usize..4, seed in any::<u64>()
        ) {
            let inside = [at[0].index(width), at[1].index(height)];
            let pixel = [inside, [0, inside[1]], [width - 1, inside[1]], [inside[0], height - 1]][edge];
            let params = match strength {
                0 => FinetuneAugment::none(),
                1 => FinetunePreset::Default.into(),
                2 => FinetuneAugment { probability: 1.0, ..FinetunePreset::NnUnet.into() },
                _ => FinetuneAugment { elastic: 3.0, scale: [3.0, 3.0], ..FinetunePreset::Light.into() },
            };
            let params = FinetuneAugment { crop_size: Some(16), ..params };
            prop_assert!(labels([width, height], pixel, &params, seed).contains(&1));
        }
    }

    #[test]
    fn all_places_that_hold_the_pixel_are_drawn_alike() {
        let corner = |pixel: [usize; 2], index: u64| {
            Target { pixel, stream: Stream::new(1, "corner", 0, index) }.corner(([20, 6], [8, 8]))
        };
        let mut counts = [0usize; 20];
        for index in 0..8000 {
            let [left, top] = corner([10, 5], index);
            assert_eq!(top, 0);
            counts[left] += 1;
        }
        assert!(counts[3..=10].iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        assert_eq!(counts[3..=10].iter().sum::<usize>(), 8000);
        assert!((0..50).all(|index| corner([0, 0], index)[0] == 0 && corner([19, 0], index)[0] == 12));
    }
}
