//! Holm's correction (1979) of several p-values for multiple testing.

/// Each p-value, corrected: in ascending order, p times the number of values from there on, at least the previous result and at
/// most 1. `None` stands for no test and is not counted.
pub fn holm(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(f64, usize)> = values.iter().enumerate().filter_map(|(at, p)| Some(((*p)?, at))).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (tests, mut lower_bound) = (order.len(), 0f64);
    let mut corrected = vec![None; values.len()];
    for (passed, (p, at)) in order.into_iter().enumerate() {
        lower_bound = lower_bound.max((p * (tests - passed) as f64).min(1.0));
        corrected[at] = Some(lower_bound);
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // 4 · 0.005, 3 · 0.01, 2 · 0.03, and 0.04, which must not be below the previous one.
        let corrected = holm(&[Some(0.01), Some(0.04), None, Some(0.03), Some(0.005)]);
        let expected = [Some(0.03), Some(0.06), None, Some(0.06), Some(0.02)];
        for (found, expected) in corrected.iter().zip(expected) {
            assert_eq!(found.map(|p| (p * 1e12).round()), expected.map(|p: f64| (p * 1e12).round()));
        }
        assert_eq!(holm(&[Some(0.7), Some(0.9)]), [Some(1.0), Some(1.0)]);
        assert_eq!(holm(&[]), []);
    }
}
