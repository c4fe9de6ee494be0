//! Numbers as the page writes them.

use matssl_metrics::{ClassFraction, Estimate};
use maud::{Markup, html};

/// A share in per cent, without the unit: two decimals, and two significant digits where these would hide a small share.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value.abs() {
        small if small > 0.0 && small < 0.095 => {
            let decimals = (1.0 - small.log10().floor()).clamp(2.0, 6.0) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.2}"),
    }
}

/// An interval of shares in per cent: `21.02 – 25.80`.
pub(super) fn interval([low, high]: [f64; 2]) -> String {
    format!("{} – {}", percent(low), percent(high))
}

/// A cell with an estimate in per cent and its interval; `below` is a further line. It sorts by the estimate.
pub(super) fn cell(estimate: Option<&Estimate>, below: Option<String>) -> Markup {
    let Some(estimate) = estimate else { return html! { td.number { span.soft { "–" } } } };
    html! {
        td.number data-value=(estimate.value) {
            (percent(estimate.value))
            @if let Some(range) = estimate.interval { br; small.soft { (interval(range)) } }
            @if let Some(below) = below { br; small.soft { (below) } }
        }
    }
}

/// The corrected fraction, which says something only with its interval.
pub(super) fn corrected(fraction: &ClassFraction) -> Option<&Estimate> {
    fraction.corrected.as_ref().filter(|estimate| estimate.interval.is_some())
}

/// A length, ratio or distance: four significant digits at most.
pub(super) fn length(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 1000.0 => 0,
        large if large >= 100.0 => 1,
        medium if medium >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// The size of a pixel in the unit that suits it.
pub(super) fn pixel_size(nanometres: f64) -> String {
    match nanometres >= 1000.0 {
        true => format!("{} µm", length(nanometres / 1000.0)),
        false => format!("{} nm", length(nanometres)),
    }
}

/// Mean and median; `None` without values.
pub(super) fn centre(values: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len();
    let (low, high) = (sorted.get(count.checked_sub(1)? / 2)?, sorted.get(count / 2)?);
    Some((sorted.iter().sum::<f64>() / count as f64, (low + high) / 2.0))
}

/// Standard deviation with divisor n − 1; `None` for fewer than two values.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let (mean, _) = centre(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// `1 image`, `2 images`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_shares_keep_their_digits() {
        let shares = [0.0, 1e-9, 0.000_042, 0.000_98, 0.234_12, 1.0, -0.000_5];
        assert_eq!(shares.map(percent), ["0.00", "0.000000", "0.0042", "0.10", "23.41", "100.00", "-0.050"]);
        assert_eq!(interval([0.2102, 0.258]), "21.02 – 25.80");
    }

    #[test]
    fn lengths_have_a_unit_that_suits_them() {
        assert_eq!([65.0, 520.0, 1300.0, 0.5].map(pixel_size), ["65.00 nm", "520.0 nm", "1.30 µm", "0.500 nm"]);
        assert_eq!(length(12_345.6), "12346");
    }

    #[test]
    fn centre_and_spread() {
        assert_eq!(centre(&[4.0, 1.0, 1.0]), Some((2.0, 1.0)));
        assert_eq!(centre(&[4.0, 1.0, 2.0, 1.0]), Some((2.0, 1.5)));
        assert_eq!((centre(&[]), deviation(&[2.0]), deviation(&[1.0, 3.0])), (None, None, Some(2f64.sqrt())));
    }
}
