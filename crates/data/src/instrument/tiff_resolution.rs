//! TIFF's own resolution, in pixels per inch or centimetre. It mostly says how large to print an image. It counts as the
//! size of a microscope's pixel if pixels are smaller than a printer or scanner makes them: more than 5,080 per inch (5 µm),
//! and none of a printer's or scanner's resolutions (multiples of 600 per inch up to 19,200).

use super::statements::Statements;

/// Values of the tag `ResolutionUnit`.
const INCH: u64 = 2;
pub(super) const CENTIMETRE: u64 = 3;
const NANOMETRES_PER_INCH: f64 = 25.4e6;
/// The largest pixel, in nm, that is taken for a microscope's.
const LARGEST: f64 = 5000.0;
/// Resolutions of screens, printers and scanners, in pixels per inch. Multiples of the last are such, too.
const PRINTED: [f64; 17] = [
    72.0, 75.0, 96.0, 100.0, 120.0, 144.0, 150.0, 180.0, 200.0, 240.0, 250.0, 300.0, 350.0, 360.0, 400.0, 720.0, 600.0,
];

/// Whether a pixel of `size`, in nm, is too large for a microscope's and has just the size of one of a screen, printer or
/// scanner.
pub(super) fn is_for_printing(size: f64) -> bool {
    size >= LARGEST && is_printed(size)
}

/// Whether a pixel of `size`, in nm, is one of a screen, printer or scanner.
fn is_printed(size: f64) -> bool {
    let per_inch = NANOMETRES_PER_INCH / size;
    let is_near = |resolution: f64| (per_inch / resolution - 1.0).abs() < 2e-4;
    let steps = (per_inch / PRINTED[PRINTED.len() - 1]).round();
    PRINTED.into_iter().any(is_near) || steps >= 1.0 && is_near(steps * PRINTED[PRINTED.len() - 1]) && steps <= 32.0
}

/// `resolution` are pixels per `unit`, across and down.
pub(super) fn statements(resolution: [Option<f64>; 2], unit: u64) -> Statements {
    let size = |per_unit: Option<f64>| {
        let size = match unit {
            INCH => NANOMETRES_PER_INCH / per_unit?,
            CENTIMETRE => 1e7 / per_unit?,
            _ => return None,
        };
        (size < LARGEST && !is_printed(size)).then_some(size)
    };
    let across = size(resolution[0]);
    let pixel_size = across.zip(size(resolution[1].or(resolution[0])));
    Statements { vendor: "TIFF resolution", pixel_size: pixel_size.map(Into::into), ..Statements::default() }
}
