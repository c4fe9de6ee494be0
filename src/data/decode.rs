//! From the bytes of a file to pixels or labels. What cannot be read rightly is refused by name.

use super::{DataError, Mask, Micrograph};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;
use std::path::Path;

/// Images of more pixels are refused from their header, before any memory is taken for them.
pub const MAX_PIXELS: u64 = 400_000_000;

/// Reads png, tif (the first page), jpg or bmp.
///
/// Grey stays one channel, and so does RGB whose three channels are equal. 16-bit values become `v / 257`, rounded.
/// An alpha channel is dropped if it is opaque everywhere.
///
/// # Errors
/// [`DataError::Bad`]: not an image, cut short, too large, really transparent, or of floating-point pixels.
pub fn decode_image(path: &Path, bytes: &[u8]) -> Result<Micrograph, DataError> {
    let (image, _) = decode(path, bytes)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (pixels, channels) = match image {
        DynamicImage::ImageLuma8(image) => (image.into_raw(), 1),
        DynamicImage::ImageRgb8(image) => (image.into_raw(), 3),
        DynamicImage::ImageLumaA8(image) => (without_alpha(path, image.into_raw(), 2, u8::MAX)?, 1),
        DynamicImage::ImageRgba8(image) => (without_alpha(path, image.into_raw(), 4, u8::MAX)?, 3),
        DynamicImage::ImageLuma16(image) => (to_8_bits(&image.into_raw()), 1),
        DynamicImage::ImageRgb16(image) => (to_8_bits(&image.into_raw()), 3),
        DynamicImage::ImageLumaA16(image) => (to_8_bits(&without_alpha(path, image.into_raw(), 2, u16::MAX)?), 1),
        DynamicImage::ImageRgba16(image) => (to_8_bits(&without_alpha(path, image.into_raw(), 4, u16::MAX)?), 3),
        other => {
            let problem = format!("pixels of type {:?}", other.color());
            return Err(DataError::bad(path, problem, "save it with 8 or 16 bits a channel"));
        }
    };
    if channels == 3 && pixels.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b) {
        let pixels = pixels.into_iter().step_by(3).collect();
        return Ok(Micrograph { width, height, channels: 1, pixels });
    }
    Ok(Micrograph { width, height, channels, pixels })
}

/// Reads a mask: the label values as stored, not yet mapped to classes.
///
/// * Grey of 8 bits: the value. Grey of 1, 2 or 4 bits: the stored value (0 or 1 in a 1-bit png), not its brightness.
///   Grey of 16 bits: the value, if none exceeds 255.
/// * Indexed png: the index into the palette, not its colour.
/// * RGB(A) with equal channels: that value.
///
/// # Errors
/// [`DataError::Bad`]: what [`decode_image`] refuses; a jpg (its values are not what was saved); colours; 16-bit
/// values above 255.
pub fn decode_mask(path: &Path, bytes: &[u8]) -> Result<Mask, DataError> {
    if image::guess_format(bytes).ok() == Some(ImageFormat::Jpeg) {
        return Err(DataError::bad(
            path,
            "a mask stored as jpg, whose values are only roughly those that were saved",
            "export it again as png or tif",
        ));
    }
    let palette = png_palette(bytes);
    let (image, stored) = decode(path, bytes)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let labels = if let Some(palette) = palette {
        palette_indices(path, &image.into_rgb8().into_raw(), &palette)?
    } else {
        match image {
            DynamicImage::ImageLuma8(image) => {
                // Fewer than 8 bits come stretched to 0–255.
                let step = match stored {
                    ExtendedColorType::L1 => 255,
                    ExtendedColorType::L2 => 85,
                    ExtendedColorType::L4 => 17,
                    _ => 1,
                };
                image.into_raw().into_iter().map(|v| v / step).collect()
            }
            DynamicImage::ImageRgb8(image) => equal_channels(path, &image.into_raw())?,
            DynamicImage::ImageLuma16(image) => small_values(path, &image.into_raw())?,
            DynamicImage::ImageRgb16(image) => small_values(path, &equal_channels(path, &image.into_raw())?)?,
            DynamicImage::ImageLumaA8(image) => without_alpha(path, image.into_raw(), 2, u8::MAX)?,
            DynamicImage::ImageRgba8(image) => {
                equal_channels(path, &without_alpha(path, image.into_raw(), 4, u8::MAX)?)?
            }
            other => {
                let problem = format!("a mask with pixels of type {:?}", other.color());
                return Err(DataError::bad(path, problem, "save one label value a pixel, grey, 8 bits"));
            }
        }
    };
    Ok(Mask { width, height, labels })
}

/// Decodes after a look at the header; also says how the file stores its pixels.
fn decode(path: &Path, bytes: &[u8]) -> Result<(DynamicImage, ExtendedColorType), DataError> {
    let unreadable = |error: image::ImageError| {
        let text = error.to_string();
        let text = text.lines().next().unwrap_or_default();
        DataError::bad(path, format!("damaged or cut short ({text})"), "copy or download the file again")
    };
    let format = image::guess_format(bytes).map_err(|_| {
        let problem = if bytes.is_empty() { "an empty file" } else { "not an image that can be read" };
        DataError::bad(path, problem, "png, tif, jpg and bmp are read")
    })?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.no_limits();
    let decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        let problem = format!("{width}×{height} is more than {} megapixels", MAX_PIXELS / 1_000_000);
        return Err(DataError::bad(path, problem, "cut it into smaller images"));
    }
    if pixels == 0 {
        return Err(DataError::bad(path, "an image without pixels", "remove it from the data set"));
    }
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        // The decoder fills what is missing with grey and says nothing.
        return Err(DataError::bad(path, "damaged or cut short (no end marker)", "copy or download the file again"));
    }
    let stored = match (format, bytes.get(24..26)) {
        // The png decoder does not tell: bit depth and colour type (0 is grey) in the IHDR chunk.
        (ImageFormat::Png, Some([1, 0])) => ExtendedColorType::L1,
        (ImageFormat::Png, Some([2, 0])) => ExtendedColorType::L2,
        (ImageFormat::Png, Some([4, 0])) => ExtendedColorType::L4,
        _ => decoder.original_color_type(),
    };
    Ok((DynamicImage::from_decoder(decoder).map_err(unreadable)?, stored))
}

/// Follows the markers of a jpg to its end-of-image marker (ITU T.81, annex B).
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker; within a scan, `FF 00` is data and `FF D0`–`FF D7` are restarts.
        while !matches!(bytes.get(at..at + 2), Some([0xFF, m]) if !matches!(m, 0 | 0xD0..=0xD7 | 0xFF)) {
            at += 1;
            if at + 2 > bytes.len() {
                return false;
            }
        }
        if bytes[at + 1] == 0xD9 {
            return true;
        }
        let Some(length) = bytes.get(at + 2..at + 4) else { return false };
        at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
}

/// The colours of an indexed png, in order; `None` for every other file.
fn png_palette(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    const INDEXED: u8 = 3;
    let mut rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    if *rest.get(8 + 9)? != INDEXED {
        return None;
    }
    loop {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let data = rest.get(8..8 + length)?;
        match rest.get(4..8)? {
            b"PLTE" => return Some(data.as_chunks::<3>().0.to_vec()),
            b"IDAT" => return None,
            _ => rest = rest.get(12 + length..)?,
        }
    }
}

/// The decoder gives colours; this takes them back to indices.
fn palette_indices(path: &Path, rgb: &[u8], palette: &[[u8; 3]]) -> Result<Vec<u8>, DataError> {
    rgb.as_chunks::<3>()
        .0
        .iter()
        .map(|colour| {
            let mut matches = palette.iter().enumerate().filter(|(_, entry)| *entry == colour);
            match (matches.next(), matches.next()) {
                (Some((index, _)), None) => Ok(index as u8),
                _ => Err(DataError::bad(
                    path,
                    "an indexed mask whose palette names one colour twice",
                    "save one label value a pixel, grey, 8 bits",
                )),
            }
        })
        .collect()
}

fn to_8_bits(values: &[u16]) -> Vec<u8> {
    values.iter().map(|&v| ((u32::from(v) + 128) / 257) as u8).collect()
}

fn without_alpha<T: Copy + PartialEq>(
    path: &Path,
    values: Vec<T>,
    channels: usize,
    opaque: T,
) -> Result<Vec<T>, DataError> {
    if values.chunks_exact(channels).any(|pixel| pixel[channels - 1] != opaque) {
        return Err(DataError::bad(
            path,
            "has an alpha channel with transparent pixels",
            "flatten it onto its background and save it without alpha",
        ));
    }
    Ok(values.chunks_exact(channels).flat_map(|pixel| &pixel[..channels - 1]).copied().collect())
}

fn equal_channels<T: Copy + PartialEq + std::fmt::Display>(path: &Path, rgb: &[T]) -> Result<Vec<T>, DataError> {
    let one = |&[r, g, b]: &[T; 3]| {
        if r == g && g == b {
            return Ok(r);
        }
        Err(DataError::bad(
            path,
            format!("a mask in colours, such as ({r}, {g}, {b})"),
            "save one label value a pixel, grey, 8 bits",
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
