//! TESCAN: text in the TIFF tag 50431, with some bytes before it, or in a side file `image-tif.hdr`. `PixelSizeX` is in
//! metres; `ImageStripSize` is the height of the info bar.

use super::settings::Settings;
use super::statements::Statements;
use super::text::{count, nanometres};

pub(super) fn statements(text: &str) -> Statements {
    // The first key follows on other bytes.
    let text = text.replace("ImageStripSize=", "\nImageStripSize=").replace("PixelSizeX=", "\nPixelSizeX=");
    let settings = Settings::parse(&text);
    let metres = |key: &str| settings.anywhere(key).and_then(|number| nanometres(number, 9));
    let (across, down) = (metres("pixelsizex"), metres("pixelsizey"));
    Statements {
        vendor: "TESCAN",
        pixel_size: across.map(|across| [across, down.unwrap_or(across)]),
        scanned: None,
        bar: settings.anywhere("imagestripsize").and_then(count),
        draws_over: false,
    }
}

/// Whether a side file is TESCAN's.
pub(super) fn is_it(text: &str) -> bool {
    let settings = Settings::parse(text);
    settings.anywhere("pixelsizex").is_some() && text.contains("[MAIN]")
}
