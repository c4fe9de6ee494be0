//! Shares that add up to 1.

/// The shares nearest to `values` (which add up to 1) of which none is negative, and which add up to 1: what is missing in
/// negative ones is taken from all others alike (Duchi et al. 2008, *Efficient projections onto the l1-ball*, Fig. 1).
pub(super) fn nearest_shares(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut excess) = (0.0, 0.0);
    for (value, count) in sorted.into_iter().zip(1u32..) {
        sum += value;
        let mean = (sum - 1.0) / f64::from(count);
        if value > mean {
            excess = mean;
        }
    }
    // Shares that are right already keep their bits.
    let excess = if values.iter().all(|&value| value >= 0.0) { 0.0 } else { excess };
    values.iter().map(|value| (value - excess).clamp(0.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn negative_shares_are_taken_from_the_others() {
        assert_eq!(nearest_shares(&[0.25, 0.75]), [0.25, 0.75]);
        assert_eq!(nearest_shares(&[1.5, -0.5]), [1.0, 0.0]);
        assert_eq!(nearest_shares(&[0.75, 0.5, -0.25]), [0.625, 0.375, 0.0]);
        assert!(nearest_shares(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn they_add_up_to_1_and_none_is_farther_than_others(mut values in prop::collection::vec(-2.0f64..2.0, 1..6), other in prop::collection::vec(0.01f64..1.0, 6)) {
            let rest = 1.0 - values.iter().sum::<f64>();
            values[0] += rest;
            let shares = nearest_shares(&values);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.iter().all(|&share| (0.0..=1.0).contains(&share)));
            let total: f64 = other[..values.len()].iter().sum();
            let distance = |shares: &mut dyn Iterator<Item = f64>| -> f64 { shares.zip(&values).map(|(a, b)| (a - b).powi(2)).sum() };
            let others = distance(&mut other[..values.len()].iter().map(|share| share / total));
            prop_assert!(distance(&mut shares.iter().copied()) <= others + 1e-9);
        }
    }
}
