//! Hitachi: a side file with the section `[SemImageFile]` (`[TemImageFile]`). `PixelSize` is in nm.

use super::settings::Settings;
use super::statements::Statements;
use super::text::{length, size};

const SECTIONS: [&str; 2] = ["semimagefile", "temimagefile"];

pub(super) fn statements(text: &str) -> Statements {
    let settings = Settings::parse(text);
    let value = |key: &str| SECTIONS.iter().find_map(|section| settings.get(section, key));
    let pixel = value("pixelsize").and_then(|value| length(value, Some(0)));
    Statements {
        vendor: "Hitachi",
        pixel_size: pixel.map(|size| [size, size]),
        scanned: value("datasize").and_then(size),
        bar: None,
        draws_over: true,
    }
}

/// Whether a side file is Hitachi's.
pub(super) fn is_it(text: &str) -> bool {
    let text = text.to_lowercase();
    SECTIONS.iter().any(|section| text.contains(&format!("[{section}]")))
}
