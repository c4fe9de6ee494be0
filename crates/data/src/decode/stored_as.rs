//! How a file stores its pixels, in words.

use super::tif;
use image::{ExtendedColorType, ImageDecoder, ImageFormat, ImageReader};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// `8-bit RGB jpg`, from the file's header; of a tif, the page `page`.
pub(crate) fn stored_as(path: &Path, page: Option<usize>) -> Option<String> {
    let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    let format = match reader.format()? {
        ImageFormat::Jpeg => "jpg",
        ImageFormat::Tiff => return tif::stored_as(BufReader::new(File::open(path).ok()?), page).ok(),
        ImageFormat::Png => "png",
        ImageFormat::Bmp => "bmp",
        _ => "other",
    };
    let colour = reader.into_decoder().ok()?.original_color_type();
    let channels = match colour.channel_count() {
        1 => "grey",
        2 => "grey with alpha",
        3 => "RGB",
        4 if matches!(colour, ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) => "CMYK",
        _ => "RGBA",
    };
    let depth = colour.bits_per_pixel() / u16::from(colour.channel_count()).max(1);
    Some(format!("{depth}-bit {channels} {format}"))
}
