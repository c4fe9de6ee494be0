//! Random changes of images, on the CPU: two views of a patch for pretraining ([`Recipe`], from [`ViewParams`]), image
//! and mask together for fine-tuning ([`FinetuneAugment`]). All draws come from a [`Stream`](matssl_base::random::Stream).
//!
//! Values are f32 from 0 to 255 until they are normalised, and are not rounded in between. Channels lie in planes, so that
//! a grey image has one plane. Normalisation repeats it three times for a network of three channels. All channels move
//! together, and brightness, contrast and blur change all; changes of colour are for RGB alone and do nothing else.
//!
//! On a GPU only the normalisation is left to the GPU ([`Pixel`]). To move the rest there would hardly pay: one core makes
//! 3,200 pairs of grey views a second, or 1,200 of coloured ones (benches/README.md), and a GPU comes with several cores. A
//! high `data_wait_share` would be a reason to reconsider.

mod blur;
mod colour;
mod crop_pixels;
mod degrade;
mod filled_vec;
mod normalize;
mod pair;
mod planes;
mod preset;
mod recipe;
mod reflect;
mod resample;
mod scratch;
mod target;
#[cfg(test)]
mod tests;
mod view_params;
mod warp;

pub use colour::Colour;
pub(super) use filled_vec::filled_vec;
pub(super) use normalize::normalize;
pub use normalize::{GREY_MEAN, GREY_STD, IMAGENET_MEAN, IMAGENET_STD, Pixel, normalization};
pub(super) use pair::augment_pair;
pub use pair::{FinetuneAugment, FinetunePreset};
pub use recipe::Recipe;
pub(super) use reflect::reflect;
pub use resample::{Window, resample};
pub use scratch::Scratch;
pub(super) use target::Target;
pub use view_params::{ViewParams, ViewPreset};
