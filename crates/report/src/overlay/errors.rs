//! The kinds of errors in a prediction, and their colours.

use crate::palette::Colour;

/// Foreground that was found.
pub(super) const FOUND: Colour = [0x00, 0xa0, 0x3c];
/// Background taken for foreground.
pub(super) const FALSE: Colour = [0xe0, 0x20, 0x20];
/// Foreground taken for background.
pub(super) const MISSED: Colour = [0x20, 0x50, 0xff];
/// One foreground class taken for another.
pub(super) const CONFUSED: Colour = [0xd8, 0x20, 0xd8];
/// Opacity of these colours over the image.
pub(super) const OPACITY: f64 = 0.6;
/// Stripes where the truth is unknown.
pub(super) const UNKNOWN: [Colour; 2] = [[0x9a, 0x9a, 0x9a], [0xc8, 0xc8, 0xc8]];
/// Width of a stripe in pixels, along a row.
const STRIPE: u32 = 6;

/// The colour of a pixel in the error panel; `None` for background that was predicted as such.
pub(super) fn judged(truth: u8, prediction: u8) -> Option<Colour> {
    match (truth, prediction) {
        (0, 0) => None,
        (truth, prediction) if truth == prediction => Some(FOUND),
        (0, _) => Some(FALSE),
        (_, 0) => Some(MISSED),
        _ => Some(CONFUSED),
    }
}

/// The colour of a pixel with unknown truth.
pub(super) fn stripe(x: u32, y: u32) -> Colour {
    UNKNOWN[((x + y) / STRIPE % 2) as usize]
}
