//! Who is told how far the comparison of images is.

/// Called with the number of images compared and of all images. Returns whether to go on.
pub(crate) type PageProgress<'a> = &'a (dyn Fn(usize, usize) -> bool + Sync);
