//! Bitmaps of Windows.

use super::header::checked_size;
use super::refusal::{Decoded, Refusal};
use super::stored::{Stored, Values};
use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError};
use std::io::Cursor;

/// The values that a bmp stores: indices if it has a palette.
///
/// # Errors
/// Damaged, too large, or stored in a way that is not read.
pub(super) fn stored(bytes: &[u8]) -> Decoded<Stored> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let size = checked_size(width.into(), height.into())?;
    let palette = decoder
        .get_palette()
        .map(|palette| palette.iter().map(|&[red, green, blue]| [red, green, blue, u8::MAX]).collect::<Vec<_>>());
    if let Some(palette) = palette {
        // The decoder gives only the colours.
        return Ok(indexed(size, indices(bytes, size)?, Some(palette)));
    }
    let (channels, colours) = match decoder.color_type() {
        ColorType::Rgb8 => (3, 3),
        ColorType::Rgba8 => (4, 3),
        other => return Err(Refusal::not_read(format!("a bmp with pixels of type {other:?}"))),
    };
    let mut values = vec![0; size.0 * size.1 * channels];
    decoder.read_image(&mut values).map_err(refused)?;
    Ok(Stored { channels, colours, has_alpha: channels == 4, ..indexed(size, values, None) })
}

/// Width and height, by the header.
///
/// # Errors
/// Damaged, or too large.
pub(super) fn size(bytes: &[u8]) -> Decoded<(usize, usize)> {
    let (width, height) = BmpDecoder::new(Cursor::new(bytes)).map_err(refused)?.dimensions();
    checked_size(width.into(), height.into())
}

fn indexed(size: (usize, usize), values: Vec<u8>, palette: Option<Vec<[u8; 4]>>) -> Stored {
    Stored {
        size,
        channels: 1,
        colours: 1,
        has_alpha: false,
        bits: 8,
        values: Values::U8(values),
        is_inverted: false,
        palette,
        orientation: 1,
    }
}

/// The indices into the palette, `[height, width]`.
///
/// # Errors
/// Damaged or cut short; a compression that is not run lengths.
fn indices(bytes: &[u8], size: (usize, usize)) -> Decoded<Vec<u8>> {
    // The header of OS/2 is shorter.
    let is_old = number(bytes, 14, 4)? == 12;
    let bits = number(bytes, if is_old { 24 } else { 28 }, 2)?;
    let compression = if is_old { 0 } else { number(bytes, 30, 4)? };
    let from_top = !is_old && (number(bytes, 22, 4)? as u32 as i32) < 0;
    let data = bytes.get(number(bytes, 10, 4)? as usize..).ok_or_else(missing)?;
    let mut rows = match (compression, bits) {
        (0, 1 | 2 | 4 | 8) => packed_indices(data, size, bits as usize)?,
        (1, 8) | (2, 4) => run_lengths(data, size, bits as usize)?,
        _ => return Err(Refusal::not_read(format!("a bmp of {bits} bits with compression {compression}"))),
    };
    if !from_top {
        // Rows stand from the bottom to the top.
        rows = rows.chunks_exact(size.0).rev().flatten().copied().collect();
    }
    Ok(rows)
}

/// Indices of 1, 2, 4 or 8 bits, the first in the highest bits, in rows that fill 4 bytes.
fn packed_indices(data: &[u8], (width, height): (usize, usize), bits: usize) -> Decoded<Vec<u8>> {
    let stride = (width * bits).div_ceil(32) * 4;
    let rows = data.get(..stride * height).ok_or_else(missing)?;
    let mut indices = Vec::with_capacity(width * height);
    for row in rows.chunks_exact(stride) {
        if bits == 8 {
            indices.extend_from_slice(&row[..width]);
        } else {
            let index = |x: usize| row[x * bits / 8] >> (8 - bits - x * bits % 8) & (u8::MAX >> (8 - bits));
            indices.extend((0..width).map(index));
        }
    }
    Ok(indices)
}

/// Indices of 4 or 8 bits in runs: a count and the indices that it repeats; or 0 and 0 (end of the row), 1 (end of the image),
/// 2 (a step to the right and up), or a number of indices as they are. Places that are left out are 0.
fn run_lengths(data: &[u8], (width, height): (usize, usize), bits: usize) -> Decoded<Vec<u8>> {
    let mut indices = vec![0; width * height];
    let (mut x, mut y, mut at) = (0, 0, 0);
    let pair = |at: usize| data.get(at..at + 2).map(|pair| (usize::from(pair[0]), pair[1])).ok_or_else(missing);
    // Of 4 bits, two indices stand in a byte.
    let index = |byte: u8, i: usize| if bits == 8 { byte } else { byte >> (4 - i % 2 * 4) & 15 };
    loop {
        let (count, value) = pair(at)?;
        at += 2;
        let (length, is_run) = match (count, value) {
            (0, 0) => {
                (x, y) = (0, y + 1);
                continue;
            }
            (0, 1) => return Ok(indices),
            (0, 2) => {
                let (right, up) = pair(at)?;
                (x, y, at) = (x + right, y + usize::from(up), at + 2);
                continue;
            }
            (0, length) => (usize::from(length), false),
            (length, _) => (length, true),
        };
        if y >= height || x + length > width {
            return Err(Refusal::damaged("a run that leaves its row"));
        }
        let bytes = data.get(at..).ok_or_else(missing)?;
        for i in 0..length {
            let byte = if is_run { value } else { *bytes.get(i * bits / 8).ok_or_else(missing)? };
            indices[y * width + x + i] = index(byte, i);
        }
        x += length;
        if !is_run {
            // Indices as they are fill two bytes.
            at += (length * bits).div_ceil(16) * 2;
        }
    }
}

fn missing() -> Refusal {
    Refusal::damaged("pixels are missing")
}

/// The little-endian number of `length` bytes at `at`.
fn number(bytes: &[u8], at: usize, length: usize) -> Decoded<u64> {
    let bytes = bytes.get(at..at + length).ok_or_else(|| Refusal::damaged("a short header"))?;
    Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}

fn refused(error: ImageError) -> Refusal {
    match error {
        ImageError::Unsupported(error) => Refusal::not_read(format!("a bmp stored in another way ({error})")),
        error => Refusal::damaged(error),
    }
}
