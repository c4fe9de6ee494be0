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

    /// The variance of the sum of two independent numbers (Satterthwaite 1946).
    pub(super) fn plus(self, other: Spread) -> Spread {
        let variance = self.variance + other.variance;
        let uncertain = self.variance.powi(2) / self.freedom + other.variance.powi(2) / other.freedom;
        let freedom = if uncertain > 0.0 { variance * variance / uncertain } else { self.freedom };
        Spread { variance, freedom }
    }

    /// The 95 % interval of a fraction of the value `value`: Student's t on the scale of the logit, so that it stays inside 0 to 1.
    /// An interval that would reach 0 or 1 on the scale of the fraction is taken on that scale and cut: the logit has no limit.
    /// `None` if the variance is 0, because all parts of the field look the same (e.g. the class is absent).
    pub(super) fn interval(self, value: f64) -> Option<[f64; 2]> {
        if !(self.variance > 0.0 && self.variance.is_finite()) {
            return None;
        }
        let reach = quantile(0.975, self.freedom) * self.variance.sqrt();
        if reach >= value.min(1.0 - value) {
            return Some([(value - reach).max(0.0), (value + reach).min(1.0)]);
        }
        let (logit, reach) = ((value / (1.0 - value)).ln(), reach / (value * (1.0 - value)));
        Some([logit - reach, logit + reach].map(|x| 1.0 / (1.0 + (-x).exp())))
    }
}

/// The value that Student's t with `freedom` degrees of freedom does not exceed with the probability `share`.
pub(super) fn quantile(share: f64, freedom: f64) -> f64 {
    let [least, most] = Spread::FREEDOM;
    let t = StudentsT::new(0.0, 1.0, freedom.clamp(least, most)).expect("a positive scale and degrees of freedom");
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
        let spread = |deviation: f64| Spread { variance: deviation * deviation, freedom: 1e9 };
        let [low, high] = spread(0.01).interval(0.4).unwrap();
        assert!((low - 0.3804).abs() < 2e-4 && (high - 0.4196).abs() < 3e-4, "{low} {high}");
        assert_eq!(spread(0.1).interval(0.0).map(|[low, high]| (low, (high * 1e3).round())), Some((0.0, 196.0)));
        assert_eq!(spread(1.0).interval(0.5), Some([0.0, 1.0]));
        assert_eq!(spread(0.0).interval(0.5), None);
    }

    #[test]
    fn variances_add_and_the_uncertain_one_decides_about_the_degrees_of_freedom() {
        let [small, large] = [(1e-6, 100.0), (1.0, 2.0)].map(|(variance, freedom)| Spread { variance, freedom });
        let sum = small.plus(large);
        assert!((sum.variance - 1.000001).abs() < 1e-12 && (sum.freedom - 2.0).abs() < 1e-4, "{sum:?}");
    }
}
