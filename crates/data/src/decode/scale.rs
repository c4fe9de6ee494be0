//! From stored values to 8 bits.

use super::options::ImageOptions;
use super::refusal::{Decoded, Refusal};
use super::stored::{Real, Stored, Values};

/// The values of an image as 0 (black) to 255 (white).
///
/// 1 to 8 bits fill their range. Of 9 to 16 bits the lowest `bits` are used (all if not given), or `range` is black and
/// white. More bits, negative values and floating-point numbers need `range`; values outside become 0 or 255. All is rounded.
///
/// # Errors
/// Values larger than `bits` allow, or so small that they must have fewer than 16 bits; values that need `range`; NaN.
pub(super) fn to_8_bits(stored: Stored, options: &ImageOptions) -> Decoded<Vec<u8>> {
    let mut pixels = match (stored.values, options.range) {
        (Values::U8(values), _) if stored.bits == 8 => values,
        (Values::U8(mut values), _) => {
            let white = u8::MAX >> (8 - stored.bits);
            let scaled = |value: u8| ((u16::from(value) * 255 + u16::from(white) / 2) / u16::from(white)) as u8;
            values.iter_mut().for_each(|value| *value = scaled(*value));
            values
        }
        (Values::U16(values), Some(range)) => values.iter().map(|&value| in_range(f64::from(value), range)).collect(),
        (Values::U16(values), None) => sixteen_bits(&values, stored.bits, options.bits)?,
        (Values::Real(values, _), Some(range)) => {
            if values.iter().any(|value| !value.is_finite()) {
                let problem = "holds values that are no numbers (NaN or infinite)";
                return Err(Refusal::new(problem, "replace them and save it again"));
            }
            values.iter().map(|&value| in_range(value, range)).collect()
        }
        (Values::Real(values, kind), None) => return Err(needs_range(&values, kind, stored.bits)),
    };
    if stored.is_inverted {
        pixels.iter_mut().for_each(|value| *value = 255 - *value);
    }
    Ok(pixels)
}

fn in_range(value: f64, [black, white]: [f64; 2]) -> u8 {
    ((value - black) / (white - black) * 255.0).round().clamp(0.0, 255.0) as u8
}

fn sixteen_bits(values: &[u16], stored: u8, bits: Option<u8>) -> Decoded<Vec<u8>> {
    let largest = values.iter().copied().max().unwrap_or(0);
    let used = 16 - largest.leading_zeros();
    // Read as 16 bits, values of at most 13 bits would leave at most 32 grey levels.
    if bits.is_none() && stored == 16 && (1..=13).contains(&used) {
        let problem = format!("16 bits a pixel, and no value above {largest}: few grey levels would be left");
        let cure = format!("set `bits = {}` for the data set, or `bits = 16` if it is that dark", used.max(8));
        return Err(Refusal::new(problem, cure));
    }
    let white = (1u32 << bits.unwrap_or(16).min(stored)) - 1;
    if u32::from(largest) > white {
        let problem = format!("holds the value {largest}, and {white} is the largest of {} bits", white.count_ones());
        return Err(Refusal::new(problem, format!("correct the data set's `bits`, e.g. `bits = {used}`")));
    }
    Ok(values.iter().map(|&value| ((u32::from(value) * 255 + white / 2) / white) as u8).collect())
}

/// What to write is shown by the values that are there.
fn needs_range(values: &[f64], kind: Real, bits: u8) -> Refusal {
    let numbers = values.iter().copied().filter(|value| value.is_finite());
    let (smallest, largest) = numbers.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
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
}
