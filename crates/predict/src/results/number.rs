//! Numbers in tables.

use matssl_metrics::Estimate;

/// Digits after the decimal point of fractions: a pixel of a 1000 × 1000 image.
const DIGITS: usize = 6;

/// A fraction, or nothing.
pub(super) fn fraction(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.DIGITS$}")).unwrap_or_default()
}

/// Value, low and high end.
pub(super) fn estimate(estimate: Option<&Estimate>) -> [String; 3] {
    let interval = estimate.and_then(|estimate| estimate.interval);
    [
        fraction(estimate.map(|estimate| estimate.value)),
        fraction(interval.map(|[low, _]| low)),
        fraction(interval.map(|[_, high]| high)),
    ]
}

/// A measure to six significant digits, or nothing.
pub(super) fn measure(value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = 5 - value.abs().log10().floor() as i32;
    if digits <= 0 { format!("{value:.0}") } else { format!("{value:.*}", digits as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_they_need() {
        assert_eq!(fraction(Some(0.5)), "0.500000");
        let shown = [0.0, 1.0, 123_456_789.0, 0.001_234_567_8, 99.5].map(|value| measure(Some(value)));
        assert_eq!(shown, ["0", "1.00000", "123456789", "0.00123457", "99.5000"]);
        assert_eq!(measure(None), "");
        let both = Estimate { value: 0.25, interval: Some([0.2, 0.3]) };
        assert_eq!(estimate(Some(&both)), ["0.250000", "0.200000", "0.300000"]);
        assert_eq!(estimate(None), ["", "", ""]);
    }
}
