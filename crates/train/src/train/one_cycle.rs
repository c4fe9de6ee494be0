//! A learning rate that rises once and falls once.

use std::f64::consts::PI;

/// The learning rate of PyTorch's `OneCycleLR` with `anneal_strategy="cos"` and two phases (Smith & Topin 2018). The momentum is not
/// cycled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OneCycle {
    /// Share of the steps in which the rate rises.
    pub(super) warmup: f64,
    /// The highest rate over the first one.
    pub(super) div_factor: f64,
    /// The first rate over the last one.
    pub(super) final_div_factor: f64,
}

/// Defaults of PyTorch.
const WARMUP: f64 = 0.3;
const DIV_FACTOR: f64 = 25.0;
const FINAL_DIV_FACTOR: f64 = 1e4;

impl OneCycle {
    /// With PyTorch's defaults for what is not given.
    ///
    /// # Errors
    /// One line, if a value is out of range.
    pub(super) fn new(
        warmup: Option<f64>,
        div_factor: Option<f64>,
        final_div_factor: Option<f64>,
    ) -> Result<Self, String> {
        let warmup = warmup.unwrap_or(WARMUP);
        if !(0.0..1.0).contains(&warmup) {
            return Err(format!("warmup = {warmup}: expected a share of the steps, 0 to below 1"));
        }
        let factor = |name: &str, value: Option<f64>, default: f64| match value.unwrap_or(default) {
            factor if factor >= 1.0 && factor.is_finite() => Ok(factor),
            factor => Err(format!("{name} = {factor}: expected 1 or above")),
        };
        let div_factor = factor("div_factor", div_factor, DIV_FACTOR)?;
        let final_div_factor = factor("final_div_factor", final_div_factor, FINAL_DIV_FACTOR)?;
        Ok(OneCycle { warmup, div_factor, final_div_factor })
    }

    /// The rate of step `step` of `steps`, with the highest rate `peak`.
    pub(super) fn learning_rate(&self, peak: f64, step: u64, steps: u64) -> f64 {
        let first = peak / self.div_factor;
        let (highest, last) = (self.warmup * steps as f64 - 1.0, (steps - 1) as f64);
        let step = step as f64;
        if step < highest {
            along_cosine(first, peak, step / highest)
        } else {
            along_cosine(peak, first / self.final_div_factor, (step - highest) / (last - highest))
        }
    }
}

fn along_cosine(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) / 2.0 * (1.0 + (PI * done).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `one_cycle_reference.py`.
    #[test]
    fn rates_are_pytorchs() {
        let check = |cycle: OneCycle, torch: &[f64]| {
            let steps = torch.len() as u64;
            let ours: Vec<f64> = (0..steps).map(|step| cycle.learning_rate(0.8, step, steps)).collect();
            assert!(ours.iter().zip(torch).all(|(a, b)| (a - b).abs() <= 1e-15), "{ours:?}");
        };
        let new = |warmup, div_factor, final_div_factor| OneCycle::new(warmup, div_factor, final_div_factor).unwrap();
        check(
            new(None, None, None),
            &[
                0.03200000000000003,
                0.41600000000000004,
                0.8,
                0.7603877056107791,
                0.6493965231598104,
                0.48900961754903144,
                0.3109935824509686,
                0.1506066768401896,
                0.03961549438922103,
                3.2e-06,
            ],
        );
        check(
            new(Some(0.5), Some(4.0), Some(100.0)),
            &[
                0.19999999999999996,
                0.2572949016875157,
                0.40729490168751575,
                0.5927050983124842,
                0.7427050983124842,
                0.8,
                0.7465441361099912,
                0.6005,
                0.401,
                0.2015000000000001,
                0.05545586389000896,
                0.002,
            ],
        );
        check(
            new(Some(0.0), None, None),
            &[
                0.7695519347972627,
                0.6828431811037691,
                0.5530743606525442,
                0.4000016,
                0.2469288393474559,
                0.11716001889623091,
                0.030451265202737325,
                3.2e-06,
            ],
        );
    }

    #[test]
    fn trainings_of_a_few_steps_have_a_rate() {
        let cycle = OneCycle::new(None, None, None).unwrap();
        for steps in 1..9 {
            let mut rates = (0..steps).map(|step| cycle.learning_rate(0.8, step, steps));
            assert!(rates.all(|rate| rate > 0.0 && rate <= 0.8), "{steps}");
        }
    }
}
