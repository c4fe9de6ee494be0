//! Numbers, times and dates in words.

use std::time::Duration;

/// `1 record`, `2 records`.
pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// The time that a plan takes: `4.2 s`, `42 s`, `14 min`, `3.2 h`, `4.5 days`.
pub(super) fn seconds_in_words(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// The time that a run has taken or still takes: `42 s`, `7 min`, `3.2 h`.
pub(super) fn short_time(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{:.1} h", s as f64 / 3600.0),
    }
}

/// Seconds since 1970 as `2026-11-22 17:04 UTC` (days to civil date as in Howard Hinnant's `civil_from_days`).
pub(super) fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (date, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{date:02} {:02}:{:02} UTC", rest / 3600, rest / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_795_371_825), "2026-11-22 18:23 UTC");
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        let words: Vec<String> = [4.21, 42.0, 840.0, 11_520.0, 388_800.0].map(seconds_in_words).into();
        assert_eq!(words, ["4.2 s", "42 s", "14 min", "3.2 h", "4.5 days"]);
        assert_eq!([42, 420, 11_520].map(|s| short_time(Duration::from_secs(s))), ["42 s", "7 min", "3.2 h"]);
    }
}
