//! The header of an image file, checked before any memory is allocated for pixels.

use super::{jpeg, tif};
use crate::DataError;
use image::{ImageDecoder, ImageError, ImageFormat, ImageReader};
use std::io::Cursor;
use std::path::Path;

/// Largest number of pixels of an image that is read.
const MAX_PIXELS: u64 = 400_000_000;

/// Opens an image file after a look at its header.
///
/// # Errors
/// [`DataError::Bad`]: no image, no pixels, more than [`MAX_PIXELS`], a tif of several pages, a jpg that is cut short, or
/// a kind of file that the decoder does not read.
pub(super) fn open<'b>(path: &Path, bytes: &'b [u8]) -> Result<impl ImageDecoder + 'b, DataError> {
    let format = image::guess_format(bytes).map_err(|_| {
        let problem = if bytes.is_empty() { "an empty file" } else { "not an image that can be read" };
        DataError::bad(path, problem, "png, tif, jpg and bmp are read")
    })?;
    let pages = if format == ImageFormat::Tiff { tif::pages(bytes) } else { 1 };
    if pages > 1 {
        // The decoder would read the first page and ignore the others.
        let problem = format!("a tif of {pages} pages");
        return Err(DataError::bad(path, problem, "save each page as an image of its own"));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.no_limits();
    let decoder = reader.into_decoder().map_err(|error| unreadable(path, &error))?;
    check_size(path, decoder.dimensions())?;
    if format == ImageFormat::Jpeg && !jpeg::has_end(bytes) {
        // The decoder would fill the missing part with grey.
        return Err(DataError::bad(path, "damaged or cut short (no end marker)", "copy or download the file again"));
    }
    Ok(decoder)
}

fn check_size(path: &Path, (width, height): (u32, u32)) -> Result<(), DataError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        let problem = format!("{width}×{height} is more than {} megapixels", MAX_PIXELS / 1_000_000);
        return Err(DataError::bad(path, problem, "cut it into smaller images"));
    }
    if pixels == 0 {
        return Err(DataError::bad(path, "an image without pixels", "remove it from the data set"));
    }
    Ok(())
}

/// The decoder's error as one about the file `path`, with a cure.
pub(super) fn unreadable(path: &Path, error: &ImageError) -> DataError {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    if matches!(error, ImageError::Unsupported(_)) {
        let problem = format!("stored in a way that is not read ({text})");
        return DataError::bad(path, problem, "save it as png with 8 bits a channel");
    }
    DataError::bad(path, format!("damaged or cut short ({text})"), "copy or download the file again")
}
