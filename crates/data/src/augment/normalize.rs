//! The network's input: three channels, normalised with ImageNet's statistics. A GPU normalises by itself, because what is
//! sent to it is then a third as large for grey images, and a twelfth if it is bytes.

use super::planes::{Planes, WHITE};
use super::scratch::Scratch;
use matssl_base::machine::vectorized;
use std::mem::MaybeUninit;

/// Mean of each channel of ImageNet's training images, for values from 0 to 1 (torchvision).
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of each channel, likewise.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// By channel: the factor for a value from 0 to 255, and the number that is added to the product.
pub fn normalization() -> [[f32; 3]; 2] {
    let scale = std::array::from_fn(|c| 1.0 / (WHITE * IMAGENET_STD[c]));
    let shift = std::array::from_fn(|c| -IMAGENET_MEAN[c] / IMAGENET_STD[c]);
    [scale, shift]
}

/// A type of values that are sent to a GPU, which normalises them.
pub trait Pixel: Sized + Send {
    /// Writes the image before normalisation, in `channels` (1 or 3) channels, to all of `out`.
    ///
    /// # Panics
    /// If `out` has another length, or if the image has colours and `channels` is 1.
    fn write(image: &Scratch, channels: usize, out: &mut [Self]);
}

/// One plane a channel, `[channels, height, width]`. An augmented view has values between bytes, so it is not rounded.
impl Pixel for f32 {
    fn write(image: &Scratch, channels: usize, out: &mut [f32]) {
        let planes = image.planes.as_channels(channels, out.len());
        for (out, plane) in out.chunks_exact_mut((out.len() / channels).max(1)).zip(planes) {
            out.copy_from_slice(plane);
        }
    }
}

/// `[height, width, channels]`, for values that are whole numbers but for rounding errors.
impl Pixel for u8 {
    fn write(image: &Scratch, channels: usize, out: &mut [u8]) {
        let [red, green, blue] = image.planes.as_channels(channels, out.len());
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
    /// Red, green and blue; for a grey image three times the same plane.
    fn as_rgb(&self) -> [&[f32]; 3] {
        self.rgb().unwrap_or([self.values(); 3])
    }

    /// The same, after a check that `length` values in `channels` channels can hold the image.
    fn as_channels(&self, channels: usize, length: usize) -> [&[f32]; 3] {
        assert_eq!(length, channels * self.width() * self.height(), "length of an image of {channels} channels");
        assert!(channels == 3 || (channels == 1 && self.rgb().is_none()), "colours in {channels} channels");
        self.as_rgb()
    }
}

impl Scratch {
    /// Writes the image, normalised, `[height, width, 3]`, to all of `out`.
    ///
    /// # Panics
    /// If `out` has another length. So all of `out` is written when this returns.
    pub(crate) fn normalize(&self, out: &mut [MaybeUninit<f32>]) {
        let planes = &self.planes;
        assert_eq!(out.len(), 3 * planes.width() * planes.height(), "length of a normalised image");
        let [red, green, blue] = planes.as_rgb();
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
