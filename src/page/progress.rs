//! The progress of the comparison of images.

/// Receives the number of compared images and of all images. Returns whether to continue.
pub(crate) type PageProgress<'a> = &'a (dyn Fn(usize, usize) -> bool + Sync);
