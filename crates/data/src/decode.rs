//! From the bytes of a file to pixels or labels. What cannot be read rightly is refused by name.

use super::{DataError, Mask, Micrograph, tif};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;
use std::path::Path;

/// Images of more pixels are refused from their header, before any memory is taken for them.
pub const MAX_PIXELS: u64 = 400_000_000;

/// Reads png, tif of one page (LZW, deflate, PackBits or no compression, strips or tiles), jpg or bmp.
///
/// Grey stays one channel, and so does RGB whose three channels are equal. Of 16-bit files `bits` of each value are used
/// (16 if nothing is said): 0 to 2^bits − 1 become 0 to 255, rounded. An alpha channel is dropped if it is opaque
/// everywhere.
///
/// # Errors
/// [`DataError::Bad`]: not an image, cut short, too large, really transparent, a tif of several pages (thumbnails
/// aside), of floating-point pixels, of larger values than `bits` allow, or of so small ones that they must have fewer than
/// 16 where nothing is said.
pub fn decode_image(path: &Path, bytes: &[u8], bits: Option<u8>) -> Result<Micrograph, DataError> {
    let (image, _) = decode(path, bytes)?;
    let to_8_bits = |values: &[u16]| to_8_bits(path, values, bits);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (pixels, channels) = match image {
        DynamicImage::ImageLuma8(image) => (image.into_raw(), 1),
        DynamicImage::ImageRgb8(image) => (image.into_raw(), 3),
        DynamicImage::ImageLumaA8(image) => (without_alpha(path, image.into_raw(), 2, u8::MAX)?, 1),
        DynamicImage::ImageRgba8(image) => (without_alpha(path, image.into_raw(), 4, u8::MAX)?, 3),
        DynamicImage::ImageLuma16(image) => (to_8_bits(&image.into_raw())?, 1),
        DynamicImage::ImageRgb16(image) => (to_8_bits(&image.into_raw())?, 3),
        DynamicImage::ImageLumaA16(image) => (to_8_bits(&without_alpha(path, image.into_raw(), 2, u16::MAX)?)?, 1),
        DynamicImage::ImageRgba16(image) => (to_8_bits(&without_alpha(path, image.into_raw(), 4, u16::MAX)?)?, 3),
        other => {
            let problem = format!("pixels of type {:?}", other.color());
            return Err(DataError::bad(path, problem, "save it with 8 or 16 bits a channel"));
        }
    };
    Ok(Micrograph { width, height, channels, pixels }.grey_if_it_is())
}

/// Reads a mask: the label values as stored, not yet mapped to classes.
///
/// * Grey of 8 bits: the value. Grey of 1, 2 or 4 bits: the stored value (0 or 1 in a 1-bit png), not its brightness.
///   Grey of 16 bits: the value, if none exceeds 255. Also in a tif whose 0 stands for white (as ImageJ saves binary
///   masks), where the decoder gives brightness.
/// * Indexed png: the index into the palette, not its colour.
/// * RGB(A) with equal channels: that value.
///
/// # Errors
/// [`DataError::Bad`]: what [`decode_image`] refuses; a jpg (its values are not what was saved); colours; 16-bit
/// values above 255.
pub fn decode_mask(path: &Path, bytes: &[u8]) -> Result<Mask, DataError> {
    refuse_jpeg(path, bytes)?;
    let indexed = with_indices_as_colours(bytes);
    let (image, stored) = decode(path, indexed.as_deref().unwrap_or(bytes))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let white_is_zero = image::guess_format(bytes).ok() == Some(ImageFormat::Tiff) && tif::white_is_zero(bytes);
    let image = if white_is_zero { inverted(image) } else { image };
    let labels = if indexed.is_some() {
        image.into_rgb8().into_raw().as_chunks::<3>().0.iter().map(|&[index, ..]| index).collect()
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

/// Grey values the other way round, as a tif stores them whose 0 is white.
fn inverted(mut image: DynamicImage) -> DynamicImage {
    if matches!(image, DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_)) {
        image.invert();
    }
    image
}

/// Reads a mask whose colours are its classes: grey or RGB of 8 bits, the colours of a palette rather than its indices.
///
/// # Errors
/// [`DataError::Bad`]: what [`decode_image`] refuses; a jpg (its colours are not what was saved).
pub fn decode_colors(path: &Path, bytes: &[u8]) -> Result<Micrograph, DataError> {
    refuse_jpeg(path, bytes)?;
    decode_image(path, bytes, Some(16))
}

fn refuse_jpeg(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    if image::guess_format(bytes).ok() == Some(ImageFormat::Jpeg) {
        return Err(DataError::bad(
            path,
            "a mask stored as jpg, whose values are only roughly those that were saved",
            "export it again as png or tif",
        ));
    }
    Ok(())
}

/// Decodes after a look at the header; also says how the file stores its pixels.
fn decode(path: &Path, bytes: &[u8]) -> Result<(DynamicImage, ExtendedColorType), DataError> {
    let unreadable = |error: image::ImageError| {
        let text = error.to_string();
        let text = text.lines().next().unwrap_or_default();
        if matches!(error, image::ImageError::Unsupported(_)) {
            let problem = format!("stored in a way that is not read ({text})");
            return DataError::bad(path, problem, "save it as png with 8 bits a channel");
        }
        DataError::bad(path, format!("damaged or cut short ({text})"), "copy or download the file again")
    };
    let format = image::guess_format(bytes).map_err(|_| {
        let problem = if bytes.is_empty() { "an empty file" } else { "not an image that can be read" };
        DataError::bad(path, problem, "png, tif, jpg and bmp are read")
    })?;
    let pages = if format == ImageFormat::Tiff { tif::pages(bytes) } else { 1 };
    if pages > 1 {
        // The decoder reads the first and says nothing of the others.
        let problem = format!("a tif of {pages} pages");
        return Err(DataError::bad(path, problem, "save each page as an image of its own"));
    }
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

/// An indexed png with the colour of each index replaced by the grey of that value; `None` for every other file. The
/// decoder gives colours only, and a palette may hold one colour twice (padding, above all).
fn with_indices_as_colours(bytes: &[u8]) -> Option<Vec<u8>> {
    const INDEXED: u8 = 3;
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let header = bytes.strip_prefix(SIGNATURE)?;
    let (depth, colour) = (*header.get(8 + 8)?, *header.get(8 + 9)?);
    if colour != INDEXED || !matches!(depth, 1 | 2 | 4 | 8) {
        return None;
    }
    let mut at = SIGNATURE.len();
    loop {
        let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
        let after = at.checked_add(length)?.checked_add(12)?;
        match bytes.get(at + 4..at + 8)? {
            b"PLTE" => {
                let mut chunk = b"PLTE".to_vec();
                chunk.extend((0..1u16 << depth).flat_map(|index| [index as u8; 3]));
                let mut changed = bytes[..at].to_vec();
                changed.extend((chunk.len() as u32 - 4).to_be_bytes());
                changed.extend(&chunk);
                changed.extend(crc(&chunk).to_be_bytes());
                changed.extend(bytes.get(after..)?);
                return Some(changed);
            }
            b"IDAT" => return None,
            _ => at = after,
        }
    }
}

/// A png chunk's checksum (PNG specification, annex D).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn to_8_bits(path: &Path, values: &[u16], bits: Option<u8>) -> Result<Vec<u8>, DataError> {
    let most = values.iter().copied().max().unwrap_or(0);
    let used = 16 - most.leading_zeros();
    // Of 13 bits or fewer at most 32 grey levels would be left.
    if bits.is_none() && (1..=13).contains(&used) {
        let problem = format!("16 bits a pixel, and no value above {most}: few grey levels would be left");
        let cure = format!("say `bits = {}` for the data set, or `bits = 16` if it is that dark", used.max(8));
        return Err(DataError::bad(path, problem, cure));
    }
    let white = (1u32 << bits.unwrap_or(16)) - 1;
    if u32::from(most) > white {
        let problem = format!("holds the value {most}, and {white} is the largest of {} bits", white.count_ones());
        return Err(DataError::bad(path, problem, format!("correct the data set's `bits`, e.g. `bits = {used}`")));
    }
    Ok(values.iter().map(|&value| ((u32::from(value) * 255 + white / 2) / white) as u8).collect())
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

#[cfg(test)]
mod tests;
