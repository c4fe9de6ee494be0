//! Random changes of images, on the CPU: two views of a patch for pretraining ([`view`]), image and mask together
//! for fine-tuning ([`augment_pair`]). All draws come from a [`Stream`](crate::random::Stream).

mod pair;
mod photometric;
mod resample;
mod view;

pub(super) use pair::reflect;
pub use pair::{FinetuneAugment, augment_pair};
pub(super) use photometric::blur;
pub use resample::{Window, resample};
pub use view::{ViewParams, view};

/// Mean of each channel of ImageNet's training images, of values from 0 to 1 (torchvision).
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of each channel, likewise.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The largest pixel value.
const WHITE: f32 = 255.0;

/// Values from 0 to 255, `[pixels, channels]` with 1 or 3 channels, to normalised `[pixels, 3]`.
pub fn normalize(values: impl ExactSizeIterator<Item = f32>, channels: usize) -> Vec<f32> {
    let scale: [f32; 3] = std::array::from_fn(|c| 1.0 / (WHITE * IMAGENET_STD[c]));
    let shift: [f32; 3] = std::array::from_fn(|c| -IMAGENET_MEAN[c] / IMAGENET_STD[c]);
    let mut out = Vec::with_capacity(values.len() * 3 / channels);
    if channels == 1 {
        for value in values {
            out.extend((0..3).map(|c| value * scale[c] + shift[c]));
        }
    } else {
        out.extend(values.enumerate().map(|(i, value)| value * scale[i % 3] + shift[i % 3]));
    }
    out
}

/// A whole image without changes, normalised: `[height, width, 3]`.
pub fn to_input(image: &super::Micrograph) -> Vec<f32> {
    normalize(image.pixels.iter().map(|&v| f32::from(v)), image.channels)
}
