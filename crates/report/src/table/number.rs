//! Numbers as tables print them.

/// Percent with two decimals, as in the paper. All forms of a table round here.
pub(crate) fn number(percent: f64) -> String {
    format!("{percent:.2}")
}

/// [`number`] with its sign.
pub(crate) fn signed(points: f64) -> String {
    match number(points) {
        zero if zero.trim_start_matches('-') == "0.00" => "0.00".into(),
        negative if negative.starts_with('-') => negative,
        positive => format!("+{positive}"),
    }
}

/// `0.012`, or `< 0.001`.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// With commas: `16,836`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_commas_and_differences_have_signs() {
        let all = [0, 7, 999, 1_000, 16_836, 1_234_567].map(thousands);
        assert_eq!(all, ["0", "7", "999", "1,000", "16,836", "1,234,567"]);
        assert_eq!([-0.001, 0.004, 1.5, -1.5].map(signed), ["0.00", "0.00", "+1.50", "-1.50"]);
        assert_eq!([0.0004, 0.0456].map(p_value), ["< 0.001", "0.046"]);
    }
}
