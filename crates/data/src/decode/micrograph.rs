//! From the bytes of a file to the pixels of a micrograph.

use super::file;
use super::guard::guarded;
use super::options::ImageOptions;
use super::orientation::upright;
use super::refusal::Decoded;
use super::scale::to_8_bits;
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

fn decode(bytes: &[u8], options: &ImageOptions) -> Decoded<Micrograph> {
    let stored = file::stored(bytes, options.page)?.with_colours(options.channels.is_none())?;
    let stored = match &options.channels {
        Some(channels) => stored.picked(channels)?,
        None => stored.without_alpha()?,
    };
    let (size, channels, orientation) = (stored.size, stored.channels, stored.orientation);
    let (pixels, (width, height)) = upright(to_8_bits(stored, options)?, size, channels, orientation);
    Ok(Micrograph { width, height, channels, pixels }.grey_if_equal_channels())
}
