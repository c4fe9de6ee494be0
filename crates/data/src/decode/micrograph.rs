//! From the bytes of a file to the pixels of a micrograph.

use super::facts::Facts;
use super::file;
use super::guard::guarded;
use super::options::ImageOptions;
use super::orientation::upright;
use super::pixels::pixels;
use super::refusal::Decoded;
use crate::{DataError, Micrograph};
use std::path::Path;

/// Reads png, tif, jpg or bmp, turned as the file says (tag 274 of a tif, EXIF of jpg and png).
///
/// Grey stays one channel, and so does RGB whose three channels are equal. A palette is read as its colours. Values of more
/// than 8 bits are scaled as `options` say ([`ImageOptions`]). An alpha channel is dropped if it is opaque everywhere.
///
/// # Errors
/// [`DataError::Bad`]: not an image, cut short, too large, transparent pixels, a tif of several pages (thumbnails
/// aside) without `page`, more channels than grey or RGB without `channels`, floating-point pixels without `range`, values
/// larger than `bits` allow, or, without `bits`, values so small that they must have fewer than 16 bits; a way of
/// storing pixels that is not read, by its name.
pub fn decode_image(path: &Path, bytes: &[u8], options: &ImageOptions) -> Result<Micrograph, DataError> {
    guarded(|| decode(bytes, options)).map_err(|refusal| refusal.of(path))
}

/// As [`decode_image`], of a file whose path is not known.
///
/// # Errors
/// As there.
pub(super) fn decode(bytes: &[u8], options: &ImageOptions) -> Decoded<Micrograph> {
    let stored = file::stored(bytes, options.page)?;
    let (size, orientation) = (stored.size, stored.orientation);
    let facts = Facts::of(&stored, options);
    let (pixels, channels) = pixels(stored, &facts, options)?;
    let (pixels, (width, height)) = upright(pixels, size, channels, orientation);
    Ok(Micrograph { width, height, channels, pixels }.grey_if_equal_channels())
}
