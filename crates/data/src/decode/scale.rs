//! From stored values to 8 bits.

use super::extent::Extent;
use super::options::ImageOptions;
use super::refusal::{Decoded, Refusal};
use super::stored::{Real, Stored, Values};

/// The values of an image as 0 (black) to 255 (white).
///
/// 1 to 8 bits fill their range. Of 9 to 16 bits the lowest `bits` are used (all if not given), or `range` is black and
/// white. More bits, negative values and floating-point numbers need `range`; values outside become 0 or 255. All is rounded.
///
/// `extent` is that of the whole image, of which `stored` may be a part; of 8 bits it does not matter.
///
/// # Errors
/// Values larger than `bits` allow, or so small that they must have fewer than 16 bits; values that need `range`; NaN.
pub(super) fn to_8_bits(stored: Stored, options: &ImageOptions, extent: Extent) -> Decoded<Vec<u8>> {
    let mut pixels = match (stored.values, options.range) {
        (Values::U8(values), _) if stored.bits == 8 => values,
        (Values::U8(mut values), _) => {
            let white = u8::MAX >> (8 - stored.bits);
            let scaled = |value: u8| ((u16::from(value) * 255 + u16::from(white) / 2) / u16::from(white)) as u8;
            values.iter_mut().for_each(|value| *value = scaled(*value));
            values
        }
        (Values::U16(values), Some(range)) => values.iter().map(|&value| in_range(f64::from(value), range)).collect(),
        (Values::U16(values), None) => sixteen_bits(&values, stored.bits, options.bits, extent.largest as u16)?,
        (Values::Real(values, _), Some(range)) => {
            if !extent.is_finite {
                let problem = "holds values that are no numbers (NaN or infinite)";
                return Err(Refusal::new(problem, "replace them and save it again"));
            }
            values.iter().map(|&value| in_range(value, range)).collect()
        }
        (Values::Real(_, kind), None) => return Err(needs_range(extent, kind, stored.bits)),
    };
    if stored.is_inverted {
        pixels.iter_mut().for_each(|value| *value = 255 - *value);
    }
    Ok(pixels)
}

fn in_range(value: f64, [black, white]: [f64; 2]) -> u8 {
    ((value - black) / (white - black) * 255.0).round().clamp(0.0, 255.0) as u8
}

/// Whether an image with the value `largest` has enough grey levels if it is read as 16 bits: values of at most 13 bits would
/// leave at most 32.
pub(super) fn is_deep(largest: f64) -> bool {
    largest >= f64::from(1 << 13)
}

fn sixteen_bits(values: &[u16], stored: u8, bits: Option<u8>, largest: u16) -> Decoded<Vec<u8>> {
    let used = 16 - largest.leading_zeros();
    if bits.is_none() && stored == 16 && used > 0 && !is_deep(largest.into()) {
        let problem = format!("16 bits a pixel, and no value above {largest}: few grey levels would be left");
        let cure = format!("set `bits = {}` for the data set, or `bits = 16` if it is that dark", used.max(8));
        let command = format!("give `--bits {}`, or `--bits 16` if it is that dark", used.max(8));
        return Err(Refusal::new(problem, cure).or_on_command_line(command));
    }
    let white = (1u32 << bits.unwrap_or(16).min(stored)) - 1;
    if u32::from(largest) > white {
        let problem = format!("holds the value {largest}, and {white} is the largest of {} bits", white.count_ones());
        let refusal = Refusal::new(problem, format!("correct the data set's `bits`, e.g. `bits = {used}`"));
        return Err(refusal.or_on_command_line(format!("correct `--bits`, e.g. `--bits {used}`")));
    }
    Ok(values.iter().map(|&value| ((u32::from(value) * 255 + white / 2) / white) as u8).collect())
}

/// What to write is shown by the values that are there.
fn needs_range(Extent { smallest, largest, .. }: Extent, kind: Real, bits: u8) -> Refusal {
    let what = match kind {
        Real::Floating => format!("floating point ({bits} bits a value)"),
        Real::Whole if smallest < 0.0 => format!("{bits} bits a value, some of them negative"),
        Real::Whole => format!("{bits} bits a value"),
    };
    if smallest > largest {
        return Refusal::new(format!("{what}, and no value is a number"), "replace the file");
    }
    let problem = format!("{what}, from {smallest} to {largest}: what is black and what is white is not known");
    Refusal::new(problem, "set `range = [black, white]` for the data set, the same for all its images")
        .or_on_command_line("give the values of black and white by `--range`, the same for all images")
}
