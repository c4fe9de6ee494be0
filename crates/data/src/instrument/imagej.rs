//! ImageJ: `unit=um` in the TIFF's description, and pixels per unit as its resolution.

use super::settings::Settings;
use super::statements::Statements;
use super::tiff_resolution;
use matssl_base::units;

/// Whether a TIFF's description is ImageJ's.
pub(super) fn is_it(description: &str) -> bool {
    description.starts_with("ImageJ=")
}

/// `resolution` are pixels per unit, across and down.
pub(super) fn statements(description: &str, resolution: [Option<f64>; 2]) -> Statements {
    // ImageJ writes what is not ASCII as Java does.
    let description = description.replace("\\u00B5", "µ").replace("\\u00b5", "µ");
    let settings = Settings::parse(&description);
    let power = |unit: &str| match unit {
        // A unit that says nothing of the specimen.
        "pixel" | "pixels" => None,
        unit => units::length_unit(unit),
    };
    let unit = settings.anywhere("unit");
    if unit == Some("cm") {
        // ImageJ takes it over from images that have a resolution for printing.
        return Statements { vendor: "ImageJ", ..tiff_resolution::statements(resolution, tiff_resolution::CENTIMETRE) };
    }
    let across = unit.and_then(power);
    let down = settings.anywhere("yunit").or(unit).and_then(power);
    let size = |power: Option<i32>, per_unit: Option<f64>| Some(10f64.powi(power?) / per_unit?);
    let pixel_size = size(across, resolution[0]).zip(size(down, resolution[1].or(resolution[0])));
    Statements { vendor: "ImageJ", pixel_size: pixel_size.map(Into::into), ..Statements::default() }
}
