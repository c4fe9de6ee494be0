//! Zeiss SmartSEM: text in the TIFF tag 34118 (CZ_SEM). A line in capitals names a setting, and the next line has its value
//! (`AP_IMAGE_PIXEL_SIZE`, `Image Pixel Size = 26.37 nm`); numbers without a name come first. Read as tifffile does.

use super::statements::Statements;
use super::text::{length, nanometres, size};
use crate::pixel_size::possible;

/// Which of the numbers without a name is the size of a pixel on a screen of [`SCREEN`] pixels, in metres (RosettaSciIO).
const UNNAMED: usize = 3;
/// Pixels across of the screen to which the unnamed number belongs.
const SCREEN: f64 = 1024.0;

pub(super) fn statements(text: &str, width: usize) -> Statements {
    let lines: Vec<&str> = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_name = |line: &str| {
        line.contains('_') && line.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let value = |name: &str| {
        let at = lines.iter().position(|line| *line == name)?;
        lines.get(at + 1)?.split_once(['=', ':']).map(|(_, value)| value.trim())
    };
    let unnamed = || {
        // Empty lines count.
        let mut numbers = text.lines().map(str::trim).take_while(|line| !is_name(line));
        let size = nanometres(numbers.nth(UNNAMED)?, 9)? * SCREEN / width as f64;
        possible(size)
    };
    let pixel = value("AP_IMAGE_PIXEL_SIZE")
        .and_then(|value| length(value, None))
        .or_else(unnamed)
        .or_else(|| value("AP_PIXEL_SIZE").and_then(|value| length(value, None)));
    Statements {
        vendor: "Zeiss",
        pixel_size: pixel.map(|size| [size, size]),
        scanned: value("DP_IMAGE_STORE").and_then(size),
        bar: None,
        draws_over: true,
    }
}
