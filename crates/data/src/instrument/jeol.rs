//! JEOL: a side file of lines `$CM_FULL_SIZE 1280 960`. The scale bar of `$$SM_MICRON_MARKER` (`10um`) is as long as
//! `$$SM_MICRON_BAR` pixels of the scanned image; below that lies the info bar.

use super::statements::Statements;
use super::text::{count, length, size};

pub(super) fn statements(text: &str) -> Statements {
    let bar = value(text, "SM_MICRON_BAR").and_then(count).filter(|&pixels| pixels > 0);
    let marker = value(text, "SM_MICRON_MARKER").and_then(|marker| length(marker, None));
    let pixel = bar.zip(marker).map(|(pixels, length)| length / pixels as f64);
    Statements {
        vendor: "JEOL",
        pixel_size: pixel.map(|size| [size, size]),
        scanned: value(text, "CM_FULL_SIZE").and_then(size),
        bar: None,
        draws_over: false,
    }
}

/// Whether a side file is JEOL's.
pub(super) fn is_it(text: &str) -> bool {
    ["CM_FORMAT", "CM_FULL_SIZE", "SM_MICRON_BAR", "CM_MAG"].iter().any(|key| value(text, key).is_some())
}

/// The value in the line `$KEY value` or `$$KEY value`.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let lines = text.split(['\r', '\n']).map(str::trim).filter(|line| line.starts_with('$'));
    let mut values = lines.filter_map(|line| line.trim_start_matches('$').split_once(char::is_whitespace));
    values.find(|(name, _)| *name == key).map(|(_, value)| value.trim())
}
