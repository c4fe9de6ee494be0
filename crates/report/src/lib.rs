//! What a reader of results gets to see: tables, curves, pictures of predictions, a page with all of it.
//!
//! Everything here is a pure function from numbers and pixels to text and pixels, the same bytes each time: the
//! stages of the same names read the inputs and write the files.

pub mod curve;
pub mod data_table;
mod file_name;
mod font;
pub mod overlay;
pub mod page;
mod palette;
pub mod published;
mod scene;
pub mod table;

pub use file_name::{FileName, safe_names};

use anyhow::Context;
use image::{ExtendedColorType, ImageEncoder, RgbImage, codecs::png};

/// A picture as the bytes of a PNG file.
///
/// # Errors
/// If the encoder refuses it (a picture without pixels).
pub fn png_rgb(picture: &RgbImage) -> anyhow::Result<Vec<u8>> {
    png(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
}

/// One byte a pixel, row by row, as the bytes of a grey PNG file: how masks are stored.
///
/// # Errors
/// If the encoder refuses it (`labels` is not `width · height` long).
pub fn png_grey(labels: &[u8], width: usize, height: usize) -> anyhow::Result<Vec<u8>> {
    png(labels, u32::try_from(width)?, u32::try_from(height)?, ExtendedColorType::L8)
}

fn png(bytes: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> anyhow::Result<Vec<u8>> {
    let expected = u64::from(width) * u64::from(height) * u64::from(colour.bits_per_pixel()) / 8;
    anyhow::ensure!(bytes.len() as u64 == expected, "{} bytes for a picture of {width}×{height}", bytes.len());
    let mut file = Vec::new();
    png::PngEncoder::new_with_quality(&mut file, png::CompressionType::Default, png::FilterType::Adaptive)
        .write_image(bytes, width, height, colour)
        .context("encoding a PNG")?;
    Ok(file)
}
