//! Random changes of images, on the CPU: two views of a patch for pretraining ([`Recipe`], from [`ViewParams`]), image
//! and mask together for fine-tuning ([`FinetuneAugment`]). All draws come from a [`Stream`](matssl_base::random::Stream).
//!
//! Values are f32 from 0 to 255 until they are normalised, not rounded in between. Channels lie in planes, so that a
//! grey image has one: three equal ones are made by [`Planes::normalize`], when the network must have them.
//!
//! A GPU that trains is left the normalisation only ([`Pixel`]). The rest would hardly pay there: a core makes 3,200 pairs of
//! grey views a second, 1,200 of coloured ones (benches/README.md), and a GPU comes with several. Should a `data_wait_share`
//! say otherwise, it would.

mod blur;
mod colour;
mod normalize;
mod pair;
mod planes;
mod preset;
mod recipe;
mod resample;
mod view_params;
mod written;

pub use colour::Colour;
pub(super) use normalize::normalize;
pub use normalize::{Pixel, normalization};
pub use pair::{FinetuneAugment, FinetunePreset};
pub(super) use pair::{place_pair, reflect};
pub use planes::Scratch;
pub use recipe::Recipe;
pub use resample::{Window, resample};
pub use view_params::{ViewParams, ViewPreset};
pub(super) use written::written;

use matssl_base::machine::vectorized;
use planes::Planes;

/// Mean of each channel of ImageNet's training images, of values from 0 to 1 (torchvision).
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of each channel, likewise.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The largest pixel value.
const WHITE: f32 = 255.0;
