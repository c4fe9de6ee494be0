//! Wilcoxon's signed-rank test (1945), exact.

/// Smallest number of pairs that is tested: for seven, the smallest p is 0.016 before any correction.
pub const LEAST_PAIRS: usize = 8;

/// Two-sided p-value of "the differences are distributed symmetrically about 0". Zeros are left out, and equal sizes share the
/// mean of their ranks. The distribution over all signs is computed exactly for these ranks, as scipy's `wilcoxon` does with
/// `method="exact"` without ties, and with `PermutationMethod` with ties. `None` for fewer than [`LEAST_PAIRS`] differences or
/// if one is not finite; 1 if all are zero.
pub fn signed_rank(differences: &[f64]) -> Option<f64> {
    if differences.len() < LEAST_PAIRS || differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|&difference| difference != 0.0).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the rank, so that shared ranks are integers, too.
    let mut ranks: Vec<usize> = Vec::with_capacity(sorted.len());
    let mut positive = 0;
    for tied in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let rank = 2 * ranks.len() + tied.len() + 1;
        for difference in tied {
            positive += if *difference > 0.0 { rank } else { 0 };
            ranks.push(rank);
        }
    }
    let most: usize = ranks.iter().sum();
    // Probability of each sum of the ranks with a positive sign.
    let mut probability = vec![0.0; most + 1];
    probability[0] = 1.0;
    let mut reached = 0;
    for rank in ranks {
        reached += rank;
        for sum in (0..=reached).rev() {
            let with = if sum >= rank { probability[sum - rank] } else { 0.0 };
            probability[sum] = (probability[sum] + with) / 2.0;
        }
    }
    let lower: f64 = probability[..=positive].iter().sum();
    let upper: f64 = probability[positive..].iter().sum();
    Some((2.0 * lower.min(upper)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_pairs_are_not_tested() {
        assert_eq!(signed_rank(&[1.0; 7]), None);
        assert_eq!(signed_rank(&[f64::NAN; 8]), None);
        assert_eq!(signed_rank(&[0.0; 8]), Some(1.0));
    }

    #[test]
    fn all_on_one_side_is_two_of_all_signs() {
        for n in [8usize, 11, 60] {
            let differences: Vec<f64> = (1..=n).map(|i| i as f64).collect();
            let expected = 2.0 * 0.5f64.powi(n as i32);
            assert!((signed_rank(&differences).unwrap() / expected - 1.0).abs() < 1e-9, "{n}");
        }
    }

    #[test]
    fn as_counted_over_all_signs() {
        // With ties and a zero, by brute force over 2^9 signs of the mean ranks.
        let differences = [1.0, -1.0, 2.0, 2.0, -2.0, 3.5, 4.0, -0.5, 6.0, 0.0];
        let ranks = [2.5, 2.5, 5.0, 5.0, 5.0, 7.0, 8.0, 1.0, 9.0];
        let seen = 2.5 + 5.0 + 5.0 + 7.0 + 8.0 + 9.0;
        let sums = (0..512u32).map(|signs| (0..9).filter(|i| signs >> i & 1 == 1).map(|i| ranks[i]).sum::<f64>());
        let (below, above) = sums.fold((0, 0), |(b, a), sum| (b + i32::from(sum <= seen), a + i32::from(sum >= seen)));
        let expected = 2.0 * f64::from(below.min(above)) / 512.0;
        assert!((signed_rank(&differences).unwrap() - expected).abs() < 1e-12);
    }
}
