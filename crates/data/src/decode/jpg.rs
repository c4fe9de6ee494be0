//! Files of JPEG.

use super::jpeg::{Colours, has_end, header, pixels};
use super::refusal::{Decoded, Refusal};
use super::stored::{Stored, Values};
use super::tif;

/// The values of a jpg.
///
/// # Errors
/// Damaged, cut short, too large, or a kind of JPEG that is not read.
pub(super) fn stored(bytes: &[u8]) -> Decoded<Stored> {
    let header = header(bytes)?;
    if !has_end(bytes) {
        // The decoder would fill the missing part with grey.
        return Err(Refusal::damaged("no end marker"));
    }
    let channels = usize::from(header.components);
    let values = Values::U8(pixels(bytes, Colours::Shown)?);
    Ok(Stored {
        size: header.size,
        channels,
        colours: channels,
        has_alpha: false,
        bits: 8,
        values,
        is_inverted: false,
        palette: None,
        orientation: header.exif.map_or(1, tif::exif_orientation),
    })
}

/// The orientation in the EXIF data of a jpg; 1 without it.
///
/// # Errors
/// As [`header`].
pub(super) fn orientation(bytes: &[u8]) -> Decoded<u8> {
    Ok(header(bytes)?.exif.map_or(1, tif::exif_orientation))
}
