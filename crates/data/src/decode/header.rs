//! Limits that a header must keep, checked before any memory is allocated for pixels.

use super::refusal::{Decoded, Refusal};

/// Largest number of pixels of an image that is read.
pub(super) const MAX_PIXELS: u64 = 400_000_000;

/// Width and height as sizes in memory.
///
/// # Errors
/// No pixels, or more than [`MAX_PIXELS`].
pub(super) fn checked_size(width: u64, height: u64) -> Decoded<(usize, usize)> {
    let pixels = width.saturating_mul(height);
    if pixels > MAX_PIXELS {
        let problem = format!("{width}×{height} is more than {} megapixels", MAX_PIXELS / 1_000_000);
        return Err(Refusal::new(problem, "cut it into smaller images"));
    }
    if pixels == 0 {
        return Err(Refusal::new("an image without pixels", "remove it from the data set"));
    }
    Ok((width as usize, height as usize))
}
