//! Axes from one round number to another.

/// A range of values and its ticks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    step: f64,
}

impl Axis {
    /// Covers `low` to `high`, from one round number to another, in about `ticks` steps of 1, 2 or 5 times a power of ten. The
    /// step is at least `finest`. The axis does not go beyond `limits`.
    pub(crate) fn covering(low: f64, high: f64, ticks: f64, finest: f64, limits: (f64, f64)) -> Axis {
        let (low, high) = if high > low { (low, high) } else { widened(low, limits) };
        let raw = (high - low) / ticks;
        let power = 10f64.powf(raw.log10().floor());
        // With the tolerance a step of 0.2000…01 is 0.2 and not 0.5.
        let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|step| *step >= raw * 0.999_999);
        let step = step.unwrap_or(10.0 * power).max(finest);
        let low = ((low / step + 1e-9).floor() * step).max(limits.0);
        let high = ((high / step - 1e-9).ceil() * step).min(limits.1);
        Axis { low, high, step }
    }

    /// The same steps, from exactly `low` to `high`.
    pub(crate) fn cut_to(self, low: f64, high: f64) -> Axis {
        Axis { low, high, ..self }
    }

    /// Values and their labels.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let first = (self.low / self.step - 1e-9).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        let largest = self.low.abs().max(self.high.abs());
        let decimals = (-(self.step.log10() + 1e-9).floor()).max(0.0) as usize;
        (first..=last)
            .map(|i| {
                let value = i as f64 * self.step;
                let scientific = largest >= 1e6 || self.step < 1e-4;
                (
                    value,
                    if i == 0 {
                        "0".into()
                    } else if scientific {
                        format!("{value:.2e}")
                    } else {
                        format!("{value:.decimals$}")
                    },
                )
            })
            .collect()
    }

    /// The position of `value` between low (0) and high (1).
    pub(crate) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// A range around one value.
fn widened(value: f64, limits: (f64, f64)) -> (f64, f64) {
    let room = if value == 0.0 { 1.0 } else { value.abs() * 0.1 };
    ((value - room).max(limits.0), (value + room).min(limits.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, ticks: f64, finest: f64, limits: (f64, f64)) -> String {
        let axis = Axis::covering(low, high, ticks, finest, limits);
        axis.ticks().into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        let free = (f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(labels(41.3, 69.9, 6.0, 0.0, (0.0, 100.0)), "40 45 50 55 60 65 70");
        assert_eq!(labels(0.0, 200.0, 8.0, 1.0, free), "0 50 100 150 200");
        assert_eq!(labels(0.0, 3.0, 8.0, 1.0, free), "0 1 2 3");
        assert_eq!(labels(0.012, 0.034, 5.0, 0.0, free), "0.010 0.015 0.020 0.025 0.030 0.035");
        assert_eq!(labels(-0.4, 0.4, 4.0, 0.0, free), "-0.4 -0.2 0 0.2 0.4");
        assert_eq!(labels(98.7, 103.0, 5.0, 0.0, (0.0, 100.0)), "98 99 100");
        assert_eq!(labels(0.0, 0.1, 5.0, 0.0, free), "0 0.02 0.04 0.06 0.08 0.10");
    }

    #[test]
    fn one_value_has_an_axis_too() {
        for value in [0.0, 70.0, 100.0, -3.0, 1e-9, 1e12] {
            let axis = Axis::covering(value, value, 5.0, 0.0, (f64::NEG_INFINITY, f64::INFINITY));
            assert!(axis.low <= value && value <= axis.high && axis.low < axis.high, "{axis:?}");
            assert!((2..=12).contains(&axis.ticks().len()), "{axis:?}");
        }
    }
}
