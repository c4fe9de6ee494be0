//! Portable network graphics, as they store their values.

use super::header::checked_size;
use super::refusal::{Decoded, Refusal};
use super::stored::{Stored, Values};
use super::tif;
use flate2::read::ZlibDecoder;
use png::{ColorType, Limits, Transformations};
use std::io::{Cursor, Read};

/// The values that a png stores: indices if it has a palette.
///
/// # Errors
/// Damaged, too large, or animated.
pub(super) fn stored(bytes: &[u8]) -> Decoded<Stored> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: usize::MAX });
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(Refusal::damaged)?;
    let info = reader.info();
    let size = checked_size(info.width.into(), info.height.into())?;
    if let Some(frames) = info.animation_control().map(|control| control.num_frames).filter(|&frames| frames > 1) {
        let problem = format!("an animated png of {frames} frames");
        return Err(Refusal::new(problem, "save the frame that is meant as a png of its own"));
    }
    let bits = info.bit_depth as u8;
    let (channels, colours) = match info.color_type {
        ColorType::Grayscale | ColorType::Indexed => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgb => (3, 3),
        ColorType::Rgba => (4, 3),
    };
    let transparency = info.trns.as_deref().unwrap_or_default();
    let palette = (info.color_type == ColorType::Indexed).then(|| {
        let colours = info.palette.as_deref().unwrap_or_default().as_chunks::<3>().0;
        let alpha = |index: usize| transparency.get(index).copied().unwrap_or(u8::MAX);
        colours.iter().enumerate().map(|(i, &[red, green, blue])| [red, green, blue, alpha(i)]).collect::<Vec<_>>()
    });
    if palette.as_ref().is_some_and(Vec::is_empty) {
        return Err(Refusal::damaged("no palette"));
    }
    // Grey and RGB may name one colour that is transparent. The decoder gives its values as wide as those of pixels.
    let see_through: Option<Vec<u16>> = match transparency.len() {
        0 => None,
        _ if palette.is_some() => None,
        length if length == channels => Some(transparency.iter().copied().map(u16::from).collect()),
        length if length == 2 * channels => {
            Some(transparency.as_chunks::<2>().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect())
        }
        length => return Err(Refusal::damaged(format!("a transparent colour of {length} bytes"))),
    };
    let length = reader.output_buffer_size().ok_or_else(|| Refusal::damaged("too large"))?;
    // Deflate makes 1 byte from at most 1,032.
    if length / 1032 > bytes.len() {
        return Err(Refusal::damaged("too few bytes for its size"));
    }
    let mut rows = vec![0; length];
    let row_length = reader.next_frame(&mut rows).map_err(Refusal::damaged)?.line_size;
    let values = match bits {
        16 => Values::U16(rows.as_chunks::<2>().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect()),
        8 => Values::U8(rows),
        bits => Values::U8(rows.chunks_exact(row_length).flat_map(|row| unpacked(row, bits).take(size.0)).collect()),
    };
    if let Some(colour) = see_through {
        let is_seen = match &values {
            Values::U8(values) => values
                .chunks_exact(channels)
                .any(|pixel| pixel.iter().zip(&colour).all(|(value, other)| u16::from(*value) == *other)),
            Values::U16(values) => values.chunks_exact(channels).any(|pixel| pixel == colour),
            Values::Real(..) => false,
        };
        if is_seen {
            return Err(super::stored::transparent());
        }
    }
    Ok(Stored {
        size,
        channels,
        colours,
        has_alpha: channels > colours,
        bits,
        values,
        is_inverted: false,
        palette,
        orientation: orientation(bytes),
    })
}

/// Width and height, by the header.
///
/// # Errors
/// Damaged, or too large.
pub(super) fn size(bytes: &[u8]) -> Decoded<(usize, usize)> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: usize::MAX });
    let info = decoder.read_header_info().map_err(Refusal::damaged)?;
    checked_size(info.width.into(), info.height.into())
}

/// The values of `bits` (1, 2 or 4) each that are packed into bytes, the first in the highest bits.
fn unpacked(row: &[u8], bits: u8) -> impl Iterator<Item = u8> + '_ {
    let mask = u8::MAX >> (8 - bits);
    row.iter().flat_map(move |&byte| (0..8 / bits).rev().map(move |i| byte >> (i * bits) & mask))
}

/// The orientation in the chunk `eXIf`, which may stand before or after the pixels, or in the text that programs wrote before
/// there was this chunk; 1 without both.
pub(super) fn orientation(bytes: &[u8]) -> u8 {
    let mut at = 8;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(data) = bytes.get(at + 8..).and_then(|rest| rest.get(..length)) else { break };
        if kind == b"eXIf" {
            return tif::exif_orientation(data.strip_prefix(b"Exif\0\0").unwrap_or(data));
        }
        if (kind == b"zTXt" || kind == b"tEXt")
            && let Some(exif) = raw_profile(data, kind == b"zTXt")
        {
            return tif::exif_orientation(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif));
        }
        at += 12 + length;
    }
    1
}

/// The EXIF data in a text chunk of the keyword `Raw profile type exif` (or `APP1`): a name, a length, and hexadecimal digits, each on lines
/// of their own, as ImageMagick and PIL write them.
fn raw_profile(chunk: &[u8], is_compressed: bool) -> Option<Vec<u8>> {
    /// EXIF data are at most so long in hexadecimal digits.
    const MOST: u64 = 1 << 18;
    let rest = chunk.strip_prefix(b"Raw profile type ")?;
    let rest = rest.strip_prefix(b"exif\0").or_else(|| rest.strip_prefix(b"APP1\0"))?;
    let mut text = Vec::new();
    if is_compressed {
        ZlibDecoder::new(rest.get(1..)?).take(MOST).read_to_end(&mut text).ok()?;
    } else {
        text.extend_from_slice(rest);
    }
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).skip(2);
    let digits: Vec<u8> =
        lines.flatten().filter_map(|&byte| char::from(byte).to_digit(16)).map(|digit| digit as u8).collect();
    Some(digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect())
}
