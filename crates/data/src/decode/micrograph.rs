//! From the bytes of a file to the pixels of a micrograph.

use super::alpha::without_alpha;
use super::header::{open, unreadable};
use crate::{DataError, Micrograph};
use image::DynamicImage;
use std::path::Path;

/// Reads png, tif of one page (LZW, deflate, PackBits or no compression, strips or tiles), jpg or bmp.
///
/// Grey stays one channel, and so does RGB whose three channels are equal. Of 16-bit files the lowest `bits` of each value
/// are used (16 if `None`): 0 to 2^bits − 1 become 0 to 255, rounded. An alpha channel is dropped if it is opaque
/// everywhere.
///
/// # Errors
/// [`DataError::Bad`]: not an image, cut short, too large, transparent pixels, a tif of several pages (thumbnails
/// aside), floating-point pixels, values larger than `bits` allow, or, if `bits` is `None`, values so small that they must
/// have fewer than 16 bits.
pub(crate) fn decode_image(path: &Path, bytes: &[u8], bits: Option<u8>) -> Result<Micrograph, DataError> {
    let image = DynamicImage::from_decoder(open(path, bytes)?).map_err(|error| unreadable(path, &error))?;
    let to_8_bits = |values: &[u16]| to_8_bits(path, values, bits);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (pixels, channels) = match image {
        DynamicImage::ImageLuma8(image) => (image.into_raw(), 1),
        DynamicImage::ImageRgb8(image) => (image.into_raw(), 3),
        DynamicImage::ImageLumaA8(image) => (without_alpha(path, &image, u8::MAX)?, 1),
        DynamicImage::ImageRgba8(image) => (without_alpha(path, &image, u8::MAX)?, 3),
        DynamicImage::ImageLuma16(image) => (to_8_bits(&image)?, 1),
        DynamicImage::ImageRgb16(image) => (to_8_bits(&image)?, 3),
        DynamicImage::ImageLumaA16(image) => (to_8_bits(&without_alpha(path, &image, u16::MAX)?)?, 1),
        DynamicImage::ImageRgba16(image) => (to_8_bits(&without_alpha(path, &image, u16::MAX)?)?, 3),
        other => {
            let problem = format!("pixels of type {:?}", other.color());
            return Err(DataError::bad(path, problem, "save it with 8 or 16 bits a channel"));
        }
    };
    Ok(Micrograph { width, height, channels, pixels }.grey_if_equal_channels())
}

fn to_8_bits(path: &Path, values: &[u16], bits: Option<u8>) -> Result<Vec<u8>, DataError> {
    let largest = values.iter().copied().max().unwrap_or(0);
    let used = 16 - largest.leading_zeros();
    // Read as 16 bits, values of at most 13 bits would leave at most 32 grey levels.
    if bits.is_none() && (1..=13).contains(&used) {
        let problem = format!("16 bits a pixel, and no value above {largest}: few grey levels would be left");
        let cure = format!("set `bits = {}` for the data set, or `bits = 16` if it is that dark", used.max(8));
        return Err(DataError::bad(path, problem, cure));
    }
    let white = (1u32 << bits.unwrap_or(16)) - 1;
    if u32::from(largest) > white {
        let problem = format!("holds the value {largest}, and {white} is the largest of {} bits", white.count_ones());
        return Err(DataError::bad(path, problem, format!("correct the data set's `bits`, e.g. `bits = {used}`")));
    }
    Ok(values.iter().map(|&value| ((u32::from(value) * 255 + white / 2) / white) as u8).collect())
}
