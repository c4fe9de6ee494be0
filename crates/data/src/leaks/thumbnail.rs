//! A small picture of an image.

use crate::Micrograph;
use anyhow::Context as _;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageEncoder, RgbImage};

/// JPEG quality: a picture takes a few KiB and its structure stays visible.
const QUALITY: u8 = 80;

/// The image as a JPEG file of at most `side` pixels a side; smaller images keep their size. Of channels other than grey and RGB
/// the mean is shown.
///
/// # Errors
/// If the image has no pixels.
pub fn thumbnail(image: &Micrograph, side: u32) -> anyhow::Result<Vec<u8>> {
    let (width, height) = (u32::try_from(image.width)?, u32::try_from(image.height)?);
    let Micrograph { channels, pixels, .. } = image.clone().visible();
    let full = match channels {
        1 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    };
    let full = full.context("an image without pixels")?;
    let small = if width.max(height) > side { full.thumbnail(side, side) } else { full };
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    // Not `encode_image`, which stores grey as colour.
    encoder
        .write_image(small.as_bytes(), small.width(), small.height(), small.color().into())
        .context("encoding a JPEG")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_proportions_and_channels() {
        for (width, height, channels, small) in
            [(640, 480, 1, (160, 120)), (48, 32, 3, (48, 32)), (48, 32, 2, (48, 32)), (320, 160, 5, (160, 80))]
        {
            let image = Micrograph { width, height, channels, pixels: vec![90; width * height * channels] };
            let bytes = thumbnail(&image, 160).unwrap();
            let read = image::load_from_memory(&bytes).unwrap();
            assert_eq!((read.width(), read.height()), small);
            assert_eq!(read.color().channel_count(), if channels == 3 { 3 } else { 1 });
        }
    }
}
