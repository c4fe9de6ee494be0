//! Defaults of the parameters of a fine-tuning, and what of them is left out of keys.

use std::num::{NonZeroU64, NonZeroUsize};

pub(super) fn all_images() -> f64 {
    1.0
}

pub(super) fn is_all_images(fraction: &f64) -> bool {
    *fraction == all_images()
}

pub(super) fn single() -> NonZeroU64 {
    NonZeroU64::MIN
}

pub(super) fn is_single(batches: &NonZeroU64) -> bool {
    *batches == single()
}

pub(super) fn default_decoder() -> [NonZeroUsize; 5] {
    [256, 128, 64, 32, 16].map(|channels| NonZeroUsize::new(channels).unwrap_or(NonZeroUsize::MIN))
}

pub(super) fn default_crop_size() -> NonZeroUsize {
    const { NonZeroUsize::new(256).unwrap() }
}

pub(super) fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

pub(super) fn every_epoch() -> NonZeroU64 {
    NonZeroU64::MIN
}

pub(super) fn default_overlap() -> f64 {
    0.25
}
