//! The network's input, normalised with ImageNet's statistics: three channels, each with its own, or another number of
//! channels, which are no colours, all with the mean of the three. A GPU normalises three channels by itself, because what is
//! sent to it is then a third as large for grey images, and a twelfth if it is bytes.

use super::planes::{Planes, WHITE};
use super::scratch::Scratch;
use crate::channels::{RGB, fits};
use matssl_base::machine::vectorized;
use std::mem::MaybeUninit;

/// Mean of each channel of ImageNet's training images, for values from 0 to 1 (torchvision).
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of each channel, likewise.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Mean of every channel of a network that takes another number of channels than 3: the mean of [`IMAGENET_MEAN`], so that the
/// sum of a published first convolution over red, green and blue sees grey as the convolution saw it.
pub const GREY_MEAN: f32 = 0.449;
/// Standard deviation of every such channel: the mean of [`IMAGENET_STD`].
pub const GREY_STD: f32 = 0.226;

/// The factor for a value from 0 to 255 of such a channel, and the number that is added to the product.
fn grey_normalization() -> [f32; 2] {
    [1.0 / (WHITE * GREY_STD), -GREY_MEAN / GREY_STD]
}

/// Of red, green and blue: the factor for a value from 0 to 255, and the number that is added to the product.
pub fn normalization() -> [[f32; 3]; 2] {
    let scale = std::array::from_fn(|c| 1.0 / (WHITE * IMAGENET_STD[c]));
    let shift = std::array::from_fn(|c| -IMAGENET_MEAN[c] / IMAGENET_STD[c]);
    [scale, shift]
}

/// A type of values that are sent to a GPU, which normalises them.
pub trait Pixel: Sized + Send {
    /// Writes the image, grey or RGB, before normalisation, in `channels` (1 or 3) channels, to all of `out`.
    ///
    /// # Panics
    /// If `out` has another length, if the image has colours and `channels` is 1, or if it is neither grey nor RGB.
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

/// Values from 0 to 255, `[pixels, channels]`, to normalised `[pixels, in_channels]`.
///
/// # Panics
/// If images of `channels` do not fit a network of `in_channels`.
pub(crate) fn normalize(values: &[f32], channels: usize, in_channels: usize) -> Vec<f32> {
    check_fits(channels, in_channels);
    if in_channels != RGB {
        let [scale, shift] = grey_normalization();
        return values.iter().map(|value| value * scale + shift).collect();
    }
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
        assert!(matches!(channels, 1 | 3), "{channels} channels for a GPU");
        check_fits(self.channels(), channels);
        self.as_rgb()
    }
}

/// Experiments that do not fit were refused before.
fn check_fits(channels: usize, in_channels: usize) {
    assert!(fits(channels, in_channels), "an image of {channels} channels for a network of {in_channels}");
}

impl Scratch {
    /// Writes the image, normalised, `[height, width, in_channels]`, to all of `out`.
    ///
    /// # Panics
    /// If `out` has another length, or the image does not fit a network of `in_channels`. So all of `out` is written when
    /// this returns.
    pub(crate) fn normalize(&self, in_channels: usize, out: &mut [MaybeUninit<f32>]) {
        let planes = &self.planes;
        assert_eq!(out.len(), in_channels * planes.width() * planes.height(), "length of a normalised image");
        check_fits(planes.channels(), in_channels);
        if in_channels == RGB { planes.normalize_rgb(out) } else { planes.normalize_each(out) }
    }
}

impl Planes {
    /// Each channel by itself; `out` is `[height, width, channels]`.
    fn normalize_each(&self, out: &mut [MaybeUninit<f32>]) {
        let [scale, shift] = grey_normalization();
        for (channel, plane) in self.each().enumerate() {
            let values = out[channel..].iter_mut().step_by(self.channels()).zip(plane);
            values.for_each(|(out, value)| _ = out.write(value * scale + shift));
        }
    }

    /// Grey or RGB; `out` is `[height, width, 3]`.
    fn normalize_rgb(&self, out: &mut [MaybeUninit<f32>]) {
        let [red, green, blue] = self.as_rgb();
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
