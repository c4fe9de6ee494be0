//! A variance that was estimated, and the interval that follows from it.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// An estimated variance of a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) variance: f64,
    /// Degrees of freedom of the estimate.
    pub(super) freedom: f64,
}

impl Spread {
    /// Smallest and largest number of degrees of freedom.
    const FREEDOM: [f64; 2] = [0.5, 1000.0];

    /// Number of degrees of freedom below which those of a sum cannot be estimated.
    const FEW: f64 = 2.0;

    /// Half the width of the 95 % interval.
    pub(super) fn reach(self) -> f64 {
        quantile(0.975, self.freedom) * self.variance.sqrt()
    }

    /// Half the width of the 95 % interval of a sum of two independent numbers: degrees of freedom by Satterthwaite (1946). With
    /// very few of them that is too narrow; then the mean of both values of Student's t, with weights by the variances (Cochran and
    /// Cox 1950), which is rather too wide.
    pub(super) fn reach_with(self, other: Spread) -> f64 {
        let variance = self.variance + other.variance;
        if self.freedom.min(other.freedom) < Spread::FEW {
            let part = |spread: Spread| quantile(0.975, spread.freedom) * spread.variance;
            return (part(self) + part(other)) / variance.sqrt();
        }
        let uncertain = self.variance.powi(2) / self.freedom + other.variance.powi(2) / other.freedom;
        Spread { variance, freedom: variance * variance / uncertain }.reach()
    }
}

/// The interval of a fraction of the value `value` that reaches `reach` to each side: on the scale of the logit, so that it stays
/// inside 0 to 1. An interval that would reach 0 or 1 on the scale of the fraction is taken on that scale and cut: the logit has no
/// limit. `None` without variance: all parts of the field look the same, for instance because the class is absent.
pub(super) fn interval(value: f64, reach: f64) -> Option<[f64; 2]> {
    if !(reach > 0.0 && reach.is_finite()) {
        return None;
    }
    if reach >= value.min(1.0 - value) {
        return Some([(value - reach).max(0.0), (value + reach).min(1.0)]);
    }
    let (logit, reach) = ((value / (1.0 - value)).ln(), reach / (value * (1.0 - value)));
    let fraction = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    // Rounding must not put the value outside.
    Some([fraction(logit - reach).min(value), fraction(logit + reach).max(value)])
}

/// The value that Student's t with `freedom` degrees of freedom does not exceed with the probability `share`.
pub(super) fn quantile(share: f64, freedom: f64) -> f64 {
    let [least, most] = Spread::FREEDOM;
    // `max` and `min` also remove NaN, the ratio of two variances that are 0.
    let freedom = freedom.max(least).min(most);
    let t = StudentsT::new(0.0, 1.0, freedom).expect("a positive scale and degrees of freedom");
    t.inverse_cdf(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (freedom, expected) in [(1.0, 12.7062047), (2.0, 4.3026527), (4.0, 2.7764451), (15.0, 2.1314495)] {
            assert!((quantile(0.975, freedom) - expected).abs() < 1e-6, "{freedom}");
        }
    }

    #[test]
    fn an_interval_stays_inside_and_is_about_two_deviations_to_each_side() {
        let reach = |deviation: f64| Spread { variance: deviation * deviation, freedom: 1e9 }.reach();
        let [low, high] = interval(0.4, reach(0.01)).unwrap();
        assert!((low - 0.3804).abs() < 2e-4 && (high - 0.4196).abs() < 3e-4, "{low} {high}");
        assert_eq!(interval(0.0, reach(0.1)).map(|[low, high]| (low, (high * 1e3).round())), Some((0.0, 196.0)));
        assert_eq!(interval(0.5, reach(1.0)), Some([0.0, 1.0]));
        assert_eq!((interval(0.5, reach(0.0)), interval(0.5, f64::NAN)), (None, None));
    }

    #[test]
    fn variances_add_and_the_uncertain_one_decides_about_students_t() {
        let spread = |variance: f64, freedom: f64| Spread { variance, freedom };
        let sum = |a: Spread, b: Spread| (a.reach_with(b), b.reach_with(a));
        assert!((sum(spread(1e-6, 100.0), spread(1.0, 2.0)).0 - 4.30265).abs() < 1e-3);
        // Equal variances of 4 degrees of freedom each: 8 together; 2.306 · √2.
        let (one, other) = sum(spread(1.0, 4.0), spread(1.0, 4.0));
        assert!((one - 2.306004 * 2f64.sqrt()).abs() < 1e-5 && one == other);
        // (12.706 · 1 + 4.303 · 3) / 2.
        assert!((sum(spread(1.0, 1.0), spread(3.0, 2.0)).0 - 12.807082).abs() < 1e-5);
        assert!(spread(0.0, 1.0).reach_with(spread(0.0, 5.0)).is_nan());
        assert_eq!(spread(0.0, 4.0).reach_with(spread(0.0, 5.0)), 0.0);
    }
}
