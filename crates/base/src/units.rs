//! Times and sizes as users write them, in experiment files, on the command line and in the environment alike.
//!
//! A number and a unit, with or without a space between them, in upper or lower case. `KiB`, `MiB`, `GiB`, `TiB` are powers of
//! 1024, and so are the single letters `K`, `M`, `G`, `T`, as in Slurm and in shell tools; `kB`, `MB`, `GB`, `TB` are powers of
//! 1000. In times, `m` is a minute.

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
    fn the_reason_of_a_refusal_is_given() {
        assert_eq!(quantity("h", TIMES), Err(Wrong::NoNumber));
        assert_eq!(quantity("2", TIMES), Err(Wrong::NoUnit));
        assert_eq!(quantity("2 hours", TIMES), Err(Wrong::UnknownUnit("hours")));
    }
}
