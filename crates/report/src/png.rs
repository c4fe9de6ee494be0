//! PNG files.

use anyhow::Context as _;
use image::{ExtendedColorType, ImageEncoder, RgbImage, codecs::png};

/// A picture as the bytes of a PNG file.
///
/// # Errors
/// If the encoder refuses it (a picture without pixels).
pub fn png_rgb(picture: &RgbImage) -> anyhow::Result<Vec<u8>> {
    encoded(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
}

/// One byte per pixel, row by row, as the bytes of a grey PNG file: how masks are stored.
///
/// # Errors
/// If the encoder refuses it (`labels` is not `width · height` long).
pub fn png_grey(labels: &[u8], width: usize, height: usize) -> anyhow::Result<Vec<u8>> {
    encoded(labels, u32::try_from(width)?, u32::try_from(height)?, ExtendedColorType::L8)
}

fn encoded(bytes: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> anyhow::Result<Vec<u8>> {
    let expected = u64::from(width) * u64::from(height) * u64::from(colour.bits_per_pixel()) / 8;
    anyhow::ensure!(bytes.len() as u64 == expected, "{} bytes for a picture of {width}×{height}", bytes.len());
    let mut file = Vec::new();
    png::PngEncoder::new_with_quality(&mut file, png::CompressionType::Default, png::FilterType::Adaptive)
        .write_image(bytes, width, height, colour)
        .context("encoding a PNG")?;
    Ok(file)
}
