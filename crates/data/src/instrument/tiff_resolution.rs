//! TIFF's own resolution, in pixels per inch or centimetre. It mostly says how large to print an image. It counts as the
//! size of a microscope's pixel if pixels are smaller than a printer or scanner makes them: more than 5,080 per inch (5 µm),
//! and no multiple of 600 per inch.

use super::instrument::Statements;

/// Values of the tag `ResolutionUnit`.
const INCH: u64 = 2;
const CENTIMETRE: u64 = 3;
const NANOMETRES_PER_INCH: f64 = 25.4e6;
/// The largest pixel, in nm, that is taken for a microscope's.
const LARGEST: f64 = 5000.0;
/// Resolutions of printers and scanners are multiples of this, in pixels per inch.
const PRINTED: f64 = 600.0;

/// `resolution` are pixels per `unit`, across and down.
pub(super) fn statements(resolution: [Option<f64>; 2], unit: u64) -> Statements {
    let size = |per_unit: Option<f64>| {
        let size = match unit {
            INCH => NANOMETRES_PER_INCH / per_unit?,
            CENTIMETRE => 1e7 / per_unit?,
            _ => return None,
        };
        let steps = NANOMETRES_PER_INCH / size / PRINTED;
        let is_printed = (steps - steps.round()).abs() < 1e-4 * steps;
        (size < LARGEST && !is_printed).then_some(size)
    };
    let across = size(resolution[0]);
    let pixel_size = across.zip(size(resolution[1].or(resolution[0])));
    Statements { vendor: "TIFF resolution", pixel_size: pixel_size.map(Into::into), ..Statements::default() }
}
