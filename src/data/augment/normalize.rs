//! What the network gets: three channels with ImageNet's statistics.

use super::{IMAGENET_MEAN, IMAGENET_STD, Planes, WHITE, vectorized};
use std::mem::MaybeUninit;

/// By channel, what a value from 0 to 255 is multiplied by, and what is added then.
fn factors() -> ([f32; 3], [f32; 3]) {
    let scale = std::array::from_fn(|c| 1.0 / (WHITE * IMAGENET_STD[c]));
    let shift = std::array::from_fn(|c| -IMAGENET_MEAN[c] / IMAGENET_STD[c]);
    (scale, shift)
}

/// Values from 0 to 255, `[pixels, channels]` with 1 or 3 channels, to normalised `[pixels, 3]`.
pub(in crate::data) fn normalize(values: &[f32], channels: usize) -> Vec<f32> {
    let (scale, shift) = factors();
    let mut out = vec![0.0; values.len() / channels * 3];
    let pixels = out.as_chunks_mut::<3>().0.iter_mut();
    if channels == 1 {
        for (pixel, &value) in pixels.zip(values) {
            *pixel = std::array::from_fn(|c| value * scale[c] + shift[c]);
        }
    } else {
        for (pixel, rgb) in pixels.zip(values.as_chunks::<3>().0) {
            *pixel = std::array::from_fn(|c| rgb[c] * scale[c] + shift[c]);
        }
    }
    out
}

impl Planes {
    /// Writes the image, normalised: `[height, width, 3]`, as many values as `out` has room for.
    ///
    /// # Panics
    /// If `out` has another length. So whoever comes back from here has had all of it written.
    pub(super) fn normalize(&self, out: &mut [MaybeUninit<f32>]) {
        assert_eq!(out.len(), 3 * self.width() * self.height(), "room for a normalised image");
        let [red, green, blue] = self.rgb().unwrap_or([self.values(); 3]);
        let (scale, shift) = factors();
        vectorized(
            #[inline(always)]
            || {
                let pixels = out.as_chunks_mut::<3>().0.iter_mut().zip(red).zip(green).zip(blue);
                for (((pixel, &red), &green), &blue) in pixels {
                    let rgb = [red, green, blue];
                    *pixel = std::array::from_fn(|c| MaybeUninit::new(rgb[c] * scale[c] + shift[c]));
                }
            },
        );
    }
}
