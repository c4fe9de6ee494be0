//! Weights of classes.

use candle_core::{Result, bail};

/// The share of each of `classes` in a mean over classes: `weights` that add up to 1, or equal ones.
///
/// # Errors
/// If there are not as many weights, one is negative or not a number, or all are 0.
pub(super) fn shares(weights: Option<&[f64]>, classes: usize) -> Result<Vec<f64>> {
    let Some(weights) = weights else { return Ok(vec![1.0 / classes as f64; classes]) };
    let sum: f64 = weights.iter().sum();
    if weights.len() != classes || weights.iter().any(|weight| !(0.0..f64::INFINITY).contains(weight)) || sum <= 0.0 {
        bail!("the class weights {weights:?} for {classes} classes: expected one for each, 0 or more, and not all 0");
    }
    Ok(weights.iter().map(|weight| weight / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_one() {
        assert_eq!(shares(None, 4).unwrap(), [0.25; 4]);
        assert_eq!(shares(Some(&[3.0, 1.0]), 2).unwrap(), [0.75, 0.25]);
        for (weights, classes) in [(&[1.0][..], 2), (&[1.0, -1.0], 2), (&[0.0, 0.0], 2), (&[f64::NAN, 1.0], 2)] {
            assert!(shares(Some(weights), classes).is_err(), "{weights:?}");
        }
    }
}
