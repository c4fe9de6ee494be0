//! Pixels with an alpha channel.

use crate::DataError;
use image::{ImageBuffer, Pixel};
use std::path::Path;

/// The values of `image` without its alpha channel.
///
/// # Errors
/// [`DataError::Bad`] if a pixel's alpha is not `opaque`.
pub(super) fn without_alpha<P: Pixel>(
    path: &Path,
    image: &ImageBuffer<P, Vec<P::Subpixel>>,
    opaque: P::Subpixel,
) -> Result<Vec<P::Subpixel>, DataError>
where
    P::Subpixel: PartialEq,
{
    let channels = usize::from(P::CHANNEL_COUNT);
    if image.chunks_exact(channels).any(|pixel| pixel[channels - 1] != opaque) {
        return Err(DataError::bad(
            path,
            "has an alpha channel with transparent pixels",
            "flatten it onto its background and save it without alpha",
        ));
    }
    Ok(image.chunks_exact(channels).flat_map(|pixel| &pixel[..channels - 1]).copied().collect())
}
