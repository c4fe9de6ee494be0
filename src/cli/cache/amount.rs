//! Durations and sizes as people write them.

use std::time::Duration;

/// `45s`, `90m`, `12h`, `30d`, `2w`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let units = [("s", 1.0), ("m", 60.0), ("min", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];
    let seconds = number(text, &units).ok_or("expected a number and a unit, as 30d, 12h or 2w")?;
    // Beyond this no clock reaches.
    if seconds > 1e11 {
        Err("that is longer than there are records".to_owned())
    } else {
        Ok(Duration::from_secs_f64(seconds))
    }
}

/// `20GiB`, `500MiB`, `1.5T`: binary units, whatever the spelling; `GB` and the like are decimal.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let mut units = vec![("b".to_owned(), 1.0)];
    for (power, letter) in (1..).zip(["k", "m", "g", "t"]) {
        let binary = 1024f64.powi(power);
        units.extend([
            (format!("{letter}ib"), binary),
            (letter.to_owned(), binary),
            (format!("{letter}b"), 1000f64.powi(power)),
        ]);
    }
    let units: Vec<(&str, f64)> = units.iter().map(|(unit, size)| (unit.as_str(), *size)).collect();
    let bytes = number(text, &units).filter(|bytes| *bytes < 1e18);
    Ok(bytes.ok_or("expected a number and a unit, as 20GiB or 500MiB")? as u64)
}

fn number(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, size) = units.iter().find(|(name, _)| *name == unit.trim())?;
    Some(number.parse::<f64>().ok()? * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_nonsense_is_not() {
        assert_eq!(duration("30d"), Ok(Duration::from_secs(2_592_000)));
        assert_eq!(duration("1.5 h"), Ok(Duration::from_secs(5400)));
        assert_eq!(bytes("20GiB"), Ok(20 << 30));
        assert_eq!(bytes("20g"), Ok(20 << 30));
        assert_eq!(bytes("2GB"), Ok(2_000_000_000));
        assert_eq!(bytes("512b"), Ok(512));
        for wrong in ["", "d", "30", "-1d", "1e9d", "3 parsecs", "9999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "20", "GiB", "-1g", "99999999999999t"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
