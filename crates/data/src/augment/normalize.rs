//! What the network gets: three channels with ImageNet's statistics. A GPU makes them itself of what the augmentations
//! leave, which is a third of it where images are grey, and of bytes a twelfth.

use super::{IMAGENET_MEAN, IMAGENET_STD, Planes, Scratch, WHITE, vectorized};
use std::mem::MaybeUninit;

/// By channel, what a value from 0 to 255 is multiplied by, and what is added then.
pub fn normalization() -> [[f32; 3]; 2] {
    let scale = std::array::from_fn(|c| 1.0 / (WHITE * IMAGENET_STD[c]));
    let shift = std::array::from_fn(|c| -IMAGENET_MEAN[c] / IMAGENET_STD[c]);
    [scale, shift]
}

/// What a GPU is sent.
pub trait Pixel: Sized + Send {
    /// Writes the image as it is before normalisation, of 1 or 3 `channels`, as many values as `out` has room for.
    ///
    /// # Panics
    /// If `out` has another length, or is to show colours in one channel.
    fn write(image: &Scratch, channels: usize, out: &mut [Self]);
}

/// One plane a channel, `[channels, height, width]`: rounded to bytes, an augmented view would not be the CPU's.
impl Pixel for f32 {
    fn write(image: &Scratch, channels: usize, out: &mut [f32]) {
        let planes = image.planes.shown_in(channels, out.len());
        for (out, plane) in out.chunks_exact_mut((out.len() / channels).max(1)).zip(planes) {
            out.copy_from_slice(plane);
        }
    }
}

/// `[height, width, channels]`, of values that are whole but for their last digits.
impl Pixel for u8 {
    fn write(image: &Scratch, channels: usize, out: &mut [u8]) {
        let [red, green, blue] = image.planes.shown_in(channels, out.len());
        let nearest = |value: f32| (value + 0.5) as u8;
        if channels == 1 {
            out.iter_mut().zip(red).for_each(|(out, &value)| *out = nearest(value));
            return;
        }
        for (((pixel, &red), &green), &blue) in out.as_chunks_mut::<3>().0.iter_mut().zip(red).zip(green).zip(blue) {
            *pixel = [red, green, blue].map(nearest);
        }
    }
}

/// Values from 0 to 255, `[pixels, channels]` with 1 or 3 channels, to normalised `[pixels, 3]`.
pub(crate) fn normalize(values: &[f32], channels: usize) -> Vec<f32> {
    let [scale, shift] = normalization();
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
    /// Red, green and blue, of a grey image thrice the same.
    fn shown(&self) -> [&[f32]; 3] {
        self.rgb().unwrap_or([self.values(); 3])
    }

    /// The same for `length` values in all, in one channel or in three.
    fn shown_in(&self, channels: usize, length: usize) -> [&[f32]; 3] {
        assert_eq!(length, channels * self.width() * self.height(), "room for an image of {channels} channels");
        assert!(channels == 3 || (channels == 1 && self.rgb().is_none()), "colours in {channels} channels");
        self.shown()
    }

    /// Writes the image, normalised: `[height, width, 3]`, as many values as `out` has room for.
    ///
    /// # Panics
    /// If `out` has another length. So whoever comes back from here has had all of it written.
    pub(super) fn normalize(&self, out: &mut [MaybeUninit<f32>]) {
        assert_eq!(out.len(), 3 * self.width() * self.height(), "room for a normalised image");
        let [red, green, blue] = self.shown();
        let [scale, shift] = normalization();
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
