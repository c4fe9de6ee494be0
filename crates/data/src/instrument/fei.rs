//! FEI and Thermo Fisher: text in the TIFF tags 34680 (SFEG) and 34682 (Helios and later), lengths in metres (read as
//! tifffile and RosettaSciIO do).

use super::settings::Settings;
use super::statements::Statements;
use super::text::{count, nanometres};

/// The power of ten of a metre in nm.
const METRE: i32 = 9;

pub(super) fn statements(text: &str) -> Statements {
    let settings = Settings::parse(text);
    let resolution = |key: &str| settings.get("image", key).and_then(count).filter(|&pixels| pixels > 0);
    let (columns, rows) = (resolution("resolutionx"), resolution("resolutiony"));
    let metres = |section: &str, key: &str| settings.get(section, key).and_then(|number| nanometres(number, METRE));
    let pixel = |section: &&str| Some([metres(section, "pixelwidth")?, metres(section, "pixelheight")?]);
    // Without a size of a pixel, the field's size over the number of pixels.
    let field = |(section, across, down): &(&str, &str, &str)| {
        Some([metres(section, across)? / columns? as f64, metres(section, down)? / rows? as f64])
    };
    let fields = [
        ("scan", "horfieldsize", "verfieldsize"),
        ("ebeam", "hfw", "vfw"),
        ("ibeam", "hfw", "vfw"),
        ("irbeam", "hfw", "vfw"),
    ];
    Statements {
        vendor: "FEI",
        pixel_size: ["scan", "escan", "iscan"].iter().find_map(pixel).or_else(|| fields.iter().find_map(field)),
        scanned: columns.zip(rows),
        bar: settings.get("privatefei", "databarheight").and_then(count),
        draws_over: false,
    }
}
