//! Limits that a header must keep, checked before any memory is allocated for pixels.

use super::refusal::{Decoded, Refusal};

/// Largest number of pixels of an image that is read at once.
pub(super) const MAX_PIXELS: u64 = 400_000_000;

/// Largest number of pixels of an image that is read in pieces.
pub(super) const MAX_PIXELS_IN_PIECES: u64 = 1 << 32;

/// The cure of an image that is too large to be read at once.
pub(super) const SAVE_TILED: &str = "save it as a tiled tif (or BigTIFF), which is read in pieces";

/// Width and height as sizes in memory.
///
/// # Errors
/// No pixels, or more than [`MAX_PIXELS`].
pub(super) fn checked_size(width: u64, height: u64) -> Decoded<(usize, usize)> {
    checked_size_up_to(MAX_PIXELS, width, height)
}

/// Width and height as sizes in memory, of an image of at most `most` pixels.
///
/// # Errors
/// No pixels, or more.
pub(super) fn checked_size_up_to(most: u64, width: u64, height: u64) -> Decoded<(usize, usize)> {
    let pixels = width.saturating_mul(height);
    if pixels > most {
        let problem = format!("{width}×{height} is more than {} megapixels", most / 1_000_000);
        let refusal = Refusal::new(problem, "cut it into smaller images");
        return Err(match most {
            MAX_PIXELS => refusal.or_on_command_line(SAVE_TILED),
            _ => refusal,
        });
    }
    if pixels == 0 {
        let refusal = Refusal::new("an image without pixels", "remove it from the data set");
        return Err(refusal.or_on_command_line("leave it out"));
    }
    Ok((width as usize, height as usize))
}
