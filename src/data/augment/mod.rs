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
pub fn normalize(values: &[f32], channels: usize) -> Vec<f32> {
    let scale: [f32; 3] = std::array::from_fn(|c| 1.0 / (WHITE * IMAGENET_STD[c]));
    let shift: [f32; 3] = std::array::from_fn(|c| -IMAGENET_MEAN[c] / IMAGENET_STD[c]);
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

/// A whole image without changes, normalised: `[height, width, 3]`.
pub fn to_input(image: &super::Micrograph) -> Vec<f32> {
    let values: Vec<f32> = image.pixels.iter().map(|&v| f32::from(v)).collect();
    normalize(&values, image.channels)
}
