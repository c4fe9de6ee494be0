//! The values that a png stores, which the image decoder replaces by brightness or colours.

use image::ImageFormat;
use image::error::{DecodingError, ImageError};
use png::{ColorType, Limits, Transformations};
use std::io::Cursor;

/// The stored values of an indexed png (indices into its palette, not colours) and of a grey one of 1, 2 or 4 bits,
/// `[height, width]`; `None` for every other file.
///
/// # Errors
/// If the image data is damaged or cut short.
pub(super) fn stored_values(bytes: &[u8]) -> Result<Option<Vec<u8>>, ImageError> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: usize::MAX });
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let info = reader.info();
    let (width, bits) = (info.width as usize, info.bit_depth as u8);
    let is_stored_otherwise = match info.color_type {
        ColorType::Indexed => info.palette.is_some(),
        ColorType::Grayscale => bits < 8 && info.trns.is_none(),
        _ => false,
    };
    if !is_stored_otherwise {
        return Ok(None);
    }
    let mut rows = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let row_length = reader.next_frame(&mut rows).map_err(damaged)?.line_size;
    Ok(Some(rows.chunks_exact(row_length).flat_map(|row| unpacked(row, bits).take(width)).collect()))
}

/// The values of `bits` (1, 2, 4 or 8) each that are packed into bytes, the first in the highest bits.
fn unpacked(row: &[u8], bits: u8) -> impl Iterator<Item = u8> + '_ {
    let mask = u8::MAX >> (8 - bits);
    row.iter().flat_map(move |&byte| (0..8 / bits).rev().map(move |i| byte >> (i * bits) & mask))
}

/// As the image decoder reports it.
fn damaged(error: png::DecodingError) -> ImageError {
    match error {
        png::DecodingError::IoError(error) => ImageError::IoError(error),
        error => ImageError::Decoding(DecodingError::new(ImageFormat::Png.into(), error)),
    }
}
