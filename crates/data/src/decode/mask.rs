//! From the bytes of a file to the labels or colours of a mask.

use super::alpha::without_alpha;
use super::header::{open, unreadable};
use super::micrograph::decode_image;
use super::{png, tif};
use crate::{DataError, Mask, Micrograph};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat};
use std::path::Path;

/// Reads a mask: the label values as stored, not yet mapped to classes.
///
/// * Grey of 8 bits: the value. Grey of 1, 2 or 4 bits: the stored value (0 or 1 in a 1-bit png), not its brightness.
///   Grey of 16 bits: the value, if none exceeds 255. The same holds for a tif in which 0 stands for white (as ImageJ saves
///   binary masks), of which the decoder gives the brightness.
/// * Indexed png: the index into the palette, not its colour.
/// * RGB(A) with equal channels: that value.
///
/// # Errors
/// [`DataError::Bad`]: what is refused in images; a jpg (its values are not those that were saved); colours; 16-bit
/// values above 255.
pub fn decode_mask(path: &Path, bytes: &[u8]) -> Result<Mask, DataError> {
    refuse_jpeg(path, bytes)?;
    let decoder = open(path, bytes)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    let failed = |error| unreadable(path, &error);
    let format = image::guess_format(bytes).ok();
    if format == Some(ImageFormat::Png)
        && let Some(labels) = png::stored_values(bytes).map_err(failed)?
    {
        return Ok(Mask { width, height, labels });
    }
    let has_one_bit = decoder.original_color_type() == ExtendedColorType::L1;
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    if format == Some(ImageFormat::Tiff) && tif::white_is_zero(bytes) {
        invert_grey(&mut image);
    }
    let labels = match image {
        // 1 bit comes stretched to 0 and 255.
        DynamicImage::ImageLuma8(image) if has_one_bit => image.iter().map(|&value| value / 255).collect(),
        DynamicImage::ImageLuma8(image) => image.into_raw(),
        DynamicImage::ImageRgb8(image) => equal_channels(path, &image)?,
        DynamicImage::ImageLuma16(image) => small_values(path, &image)?,
        DynamicImage::ImageRgb16(image) => small_values(path, &equal_channels(path, &image)?)?,
        DynamicImage::ImageLumaA8(image) => without_alpha(path, &image, u8::MAX)?,
        DynamicImage::ImageRgba8(image) => equal_channels(path, &without_alpha(path, &image, u8::MAX)?)?,
        other => {
            let problem = format!("a mask with pixels of type {:?}", other.color());
            return Err(DataError::bad(path, problem, "save one label value a pixel, grey, 8 bits"));
        }
    };
    Ok(Mask { width, height, labels })
}

/// Back to the values that a tif stores in which 0 is white.
fn invert_grey(image: &mut DynamicImage) {
    if matches!(image, DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_)) {
        image.invert();
    }
}

/// Reads a mask whose colours are its classes: grey or RGB of 8 bits, the colours of a palette rather than its indices.
///
/// # Errors
/// [`DataError::Bad`]: what is refused in images; a jpg (its colours are not those that were saved).
pub(crate) fn decode_colors(path: &Path, bytes: &[u8]) -> Result<Micrograph, DataError> {
    refuse_jpeg(path, bytes)?;
    decode_image(path, bytes, Some(16))
}

fn refuse_jpeg(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    if image::guess_format(bytes).ok() == Some(ImageFormat::Jpeg) {
        return Err(DataError::bad(
            path,
            "a mask stored as jpg, which changes the values that were saved",
            "export it again as png or tif",
        ));
    }
    Ok(())
}

fn equal_channels<T: Copy + PartialEq + std::fmt::Display>(path: &Path, rgb: &[T]) -> Result<Vec<T>, DataError> {
    let one = |&[r, g, b]: &[T; 3]| {
        if r == g && g == b {
            return Ok(r);
        }
        Err(DataError::bad(
            path,
            format!("a mask in colours, such as ({r}, {g}, {b})"),
            "save one label value a pixel, grey, 8 bits; format `folder` reads colours that `colors` names",
        ))
    };
    rgb.as_chunks::<3>().0.iter().map(one).collect()
}

fn small_values(path: &Path, values: &[u16]) -> Result<Vec<u8>, DataError> {
    let one = |&v: &u16| {
        u8::try_from(v).map_err(|_| {
            DataError::bad(path, format!("a 16-bit mask with the value {v}"), "save label values from 0 to 255, 8 bits")
        })
    };
    values.iter().map(one).collect()
}
