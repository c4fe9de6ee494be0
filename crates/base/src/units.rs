//! Times and sizes as users write them, in experiment files, on the command line and in the environment alike.
//!
//! A number and a unit, with or without a space between them, in upper or lower case. `KiB`, `MiB`, `GiB`, `TiB` are powers of
//! 1024, and so are the single letters `K`, `M`, `G`, `T`, as in Slurm and in shell tools; `kB`, `MB`, `GB`, `TB` are powers of
//! 1000. In times, `m` is a minute; in lengths, it is a metre.

use std::time::Duration;

/// Words for units, each with its size in seconds or bytes.
pub type Units = &'static [(&'static str, f64)];

/// Units of time, in seconds.
pub const TIMES: Units = &[("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];

/// Units of size, in bytes.
pub const SIZES: Units = &[
    ("KiB", (1u64 << 10) as f64),
    ("MiB", (1u64 << 20) as f64),
    ("GiB", (1u64 << 30) as f64),
    ("TiB", (1u64 << 40) as f64),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("B", 1.0),
];

/// Units of length, each with its power of ten in nanometres. µm is spelt with the micro sign, with the Greek letter, or in
/// ASCII.
const LENGTHS: [(&str, i32); 14] = [
    ("pm", -3),
    ("Å", -1),
    ("nm", 0),
    ("µm", 3),
    ("μm", 3),
    ("um", 3),
    ("micron", 3),
    ("microns", 3),
    ("micrometer", 3),
    ("mm", 6),
    ("cm", 7),
    ("m", 9),
    ("meter", 9),
    ("nanometer", 0),
];

/// Short forms of units.
const SHORT: [(&str, &str); 5] = [("m", "min"), ("k", "KiB"), ("m", "MiB"), ("g", "GiB"), ("t", "TiB")];

/// Why a text is no time or size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong<'t> {
    /// The text does not begin with a number.
    NoNumber,
    /// The number has no unit.
    NoUnit,
    /// This word is not a unit.
    UnknownUnit(&'t str),
}

/// The number in `text` times its unit, one of `units`.
///
/// # Errors
/// Why the text is no quantity.
pub fn quantity<'t>(text: &'t str, units: Units) -> Result<f64, Wrong<'t>> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
    let number = number.trim_end().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or(Wrong::NoNumber)?;
    let size = |word: &str| units.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, size)| *size);
    let short = || SHORT.iter().filter(|(short, _)| short.eq_ignore_ascii_case(unit)).find_map(|(_, word)| size(word));
    match unit {
        "" => Err(Wrong::NoUnit),
        unit => Ok(number * size(unit).or_else(short).ok_or(Wrong::UnknownUnit(unit))?),
    }
}

/// A length in nanometres, e.g. `50 nm`, `0.05 µm`, `5e-8 m`: the number nearest to what is written.
///
/// # Errors
/// Why the text is no length.
pub fn length(text: &str) -> Result<f64, Wrong<'_>> {
    let text = text.trim();
    // From the end, because a number may hold an `e`.
    let is_unit = |c: char| c.is_alphabetic() || c == '\u{212b}';
    let start = text.char_indices().rev().take_while(|(_, c)| is_unit(*c)).last().map_or(text.len(), |(at, _)| at);
    let (number, unit) = text.split_at(start);
    let power = length_unit(unit);
    match (unit, power) {
        ("", _) if decimal(number, 0).is_some() => Err(Wrong::NoUnit),
        ("", _) => Err(Wrong::NoNumber),
        (unit, None) => Err(Wrong::UnknownUnit(unit)),
        (_, Some(power)) => decimal(number, power).ok_or(Wrong::NoNumber),
    }
}

/// The power of ten by which a unit of length is larger than a nanometre.
pub fn length_unit(unit: &str) -> Option<i32> {
    let unit = if unit == "\u{212b}" { "Å" } else { unit };
    let found = LENGTHS.iter().find(|(known, _)| *known == unit);
    found.or_else(|| LENGTHS.iter().find(|(known, _)| known.eq_ignore_ascii_case(unit))).map(|(_, power)| *power)
}

/// The decimal number `text` times ten to the `power`, rounded once: `("5e-8", 9)` is exactly 50.
pub fn decimal(text: &str, power: i32) -> Option<f64> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    if !mantissa.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
        // `inf`, `nan` and the like are no decimal numbers.
        return None;
    }
    let number = format!("{mantissa}e{}", exponent.checked_add(power)?).parse::<f64>().ok()?;
    number.is_finite().then_some(number)
}

/// A time of at most 3,000 years, e.g. `45 s`, `90m`, `12h`, `30d`, `2w`.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    /// In seconds; longer times overflow the system's clock.
    const LONGEST: f64 = 1e11;
    match quantity(text, TIMES) {
        Ok(seconds) if seconds < 0.0 => Err("a time cannot be negative".to_owned()),
        Ok(seconds) if seconds > LONGEST => Err("a time cannot be longer than 3,000 years".to_owned()),
        Ok(seconds) => Ok(Duration::from_secs_f64(seconds)),
        Err(_) => Err("expected a number and a unit (s, min, h, d, w), e.g. 30d, 12h or 2w".to_owned()),
    }
}

/// A size of less than 10¹⁸ bytes, e.g. `20GiB`, `500 MB`, `1.5T`.
///
/// # Errors
/// What was expected.
pub fn bytes(text: &str) -> Result<u64, String> {
    let bytes = quantity(text, SIZES).ok().filter(|bytes| (0.0..1e18).contains(bytes));
    Ok(bytes.ok_or("expected a number and a unit (GiB = 2^30, GB = 10^9), e.g. 20GiB or 500MB")? as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_and_other_texts_are_refused() {
        assert_eq!(duration("30d"), Ok(Duration::from_secs(2_592_000)));
        assert_eq!(duration("1.5 h"), Ok(Duration::from_secs(5400)));
        assert_eq!([duration("90m"), duration("90 MIN")], [(); 2].map(|()| Ok(Duration::from_secs(5400))));
        for (text, size) in
            [("20GiB", 20 << 30), ("20g", 20 << 30), ("2GB", 2_000_000_000), ("512b", 512), ("3 kb", 3000)]
        {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for wrong in ["", "d", "30", "-1d", "1e9d", "3 parsecs", "9999999999999999d", "3 g"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "20", "GiB", "-1g", "99999999999999t", "nan GB", "3 h"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_are_the_nearest_number_of_nanometres() {
        for (text, nanometres) in [
            ("50 nm", 50.0),
            ("50NM", 50.0),
            ("0.05 µm", 50.0),
            ("0.05 μm", 50.0),
            ("0.05um", 50.0),
            ("5e-8 m", 50.0),
            ("5.0E-008m", 50.0),
            ("0.1 mm", 100_000.0),
            ("1.3 cm", 13_000_000.0),
            ("558.2 pm", 0.5582),
            ("2 Å", 0.2),
            ("2 \u{212b}", 0.2),
            ("0.25 micron", 250.0),
            (" 26.37 nm ", 26.37),
            ("+7 nm", 7.0),
        ] {
            assert_eq!(length(text), Ok(nanometres), "{text}");
        }
        // Each number of nanometres survives every unit.
        for tenths in 1..2000 {
            let nanometres = f64::from(tenths) / 10.0;
            for text in [format!("{nanometres} nm"), format!("{nanometres}e-3 µm"), format!("{nanometres}e-9 m")] {
                assert_eq!(length(&text), Ok(nanometres), "{text}");
            }
        }
        assert_eq!(length("50"), Err(Wrong::NoUnit));
        assert_eq!(length("nm"), Err(Wrong::NoNumber));
        assert_eq!(length("50 px"), Err(Wrong::UnknownUnit("px")));
        for wrong in ["", "inf nm", "nan nm", "1,5 nm", "1 000 nm", "1e400 nm", "e nm", "5e m", "1.2.3 nm"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_reason_of_a_refusal_is_given() {
        assert_eq!(quantity("h", TIMES), Err(Wrong::NoNumber));
        assert_eq!(quantity("2", TIMES), Err(Wrong::NoUnit));
        assert_eq!(quantity("2 hours", TIMES), Err(Wrong::UnknownUnit("hours")));
    }
}
