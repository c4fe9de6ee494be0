//! The learning rate over the steps of a training.

use super::one_cycle::OneCycle;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// A schedule and its parameters, as in `schedule = { name = "cosine", min_learning_rate = 1e-4 }`.
///
/// | name | own parameters | the learning rate |
/// | --- | --- | --- |
/// | `constant` | | stays the same |
/// | `cosine` | `min_learning_rate = 0` | falls along a cosine, step by step |
/// | `polynomial` | `power = 1`, `min_learning_rate = 0` | falls as (1 − t)^power, step by step |
/// | `step` | `every` or `milestones`, `factor = 0.1` | is multiplied by `factor` after `every` epochs, or after each of the `milestones`; `every = 1` is exponential |
/// | `one-cycle` | `warmup = 0.3`, `div_factor = 25`, `final_div_factor = 1e4` | rises along a cosine from 1/`div_factor` of the learning rate to all of it in that share of the steps, then falls along a cosine to 1/(`div_factor` · `final_div_factor`): PyTorch's `OneCycleLR`, whose momentum is not cycled here |
///
/// All but `one-cycle` have `warmup_epochs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ScheduleTable", into = "ScheduleTable")]
pub struct ScheduleSpec {
    shape: Shape,
    /// Number of warm-up epochs, in which the rate rises linearly from near 0; default 0.
    warmup_epochs: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Constant,
    Cosine { min_learning_rate: f64 },
    Polynomial { power: f64, min_learning_rate: f64 },
    Step { at: Falls, factor: f64 },
    OneCycle(OneCycle),
}

/// The epochs before which the rate falls, counted from 0 over the whole training, warm-up included.
#[derive(Clone, Debug, PartialEq)]
enum Falls {
    /// PyTorch's `StepLR`.
    Every(u64),
    /// PyTorch's `MultiStepLR`; ascending.
    Milestones(Vec<u64>),
}

impl Default for ScheduleSpec {
    fn default() -> Self {
        ScheduleSpec { shape: Shape::Constant, warmup_epochs: 0 }
    }
}

/// Default of PyTorch.
const FACTOR: f64 = 0.1;
const POWER: f64 = 1.0;

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ScheduleName {
    Constant,
    Cosine,
    Polynomial,
    Step,
    #[serde(rename = "one-cycle")]
    OneCycle,
}

impl ScheduleName {
    fn text(self) -> &'static str {
        match self {
            ScheduleName::Constant => "constant",
            ScheduleName::Cosine => "cosine",
            ScheduleName::Polynomial => "polynomial",
            ScheduleName::Step => "step",
            ScheduleName::OneCycle => "one-cycle",
        }
    }
}

/// A schedule of the learning rate and its parameters.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleTable {
    #[schemars(description = "Which schedule: constant, cosine, polynomial, step or one-cycle.")]
    name: ScheduleName,
    #[schemars(description = "cosine and polynomial: final learning rate; default 0.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_learning_rate: Option<f64>,
    #[schemars(description = "polynomial: exponent; default 1.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    power: Option<f64>,
    #[schemars(description = "step: number of epochs between two reductions.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    #[schemars(description = "step: epochs, counted from 0, at whose start the rate is reduced.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    milestones: Option<Vec<u64>>,
    #[schemars(description = "step: factor of a reduction; default 0.1.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[schemars(
        description = "one-cycle: share of the steps in which the rate rises to the learning rate; default 0.3."
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warmup: Option<f64>,
    #[schemars(description = "one-cycle: the learning rate over the first rate; default 25.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    div_factor: Option<f64>,
    #[schemars(description = "one-cycle: the first rate over the last one; default 10000.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    final_div_factor: Option<f64>,
    #[schemars(description = "Number of warm-up epochs, in which the rate rises linearly from near 0; default 0.")]
    #[serde(default)]
    warmup_epochs: u64,
}

impl ScheduleTable {
    /// The parameters that only some schedules have: whether the table holds them, and which schedules have them.
    fn own(&self) -> [(&'static str, bool, &'static [ScheduleName]); 8] {
        [
            ("min_learning_rate", self.min_learning_rate.is_some(), &[ScheduleName::Cosine, ScheduleName::Polynomial]),
            ("power", self.power.is_some(), &[ScheduleName::Polynomial]),
            ("every", self.every.is_some(), &[ScheduleName::Step]),
            ("milestones", self.milestones.is_some(), &[ScheduleName::Step]),
            ("factor", self.factor.is_some(), &[ScheduleName::Step]),
            ("warmup", self.warmup.is_some(), &[ScheduleName::OneCycle]),
            ("div_factor", self.div_factor.is_some(), &[ScheduleName::OneCycle]),
            ("final_div_factor", self.final_div_factor.is_some(), &[ScheduleName::OneCycle]),
        ]
    }

    fn one_cycle(&self) -> Result<OneCycle, String> {
        if self.warmup_epochs > 0 {
            return Err("`warmup_epochs` is not for one-cycle: its rise is `warmup`, a share of all steps".into());
        }
        OneCycle::new(self.warmup, self.div_factor, self.final_div_factor)
    }

    fn min_learning_rate(&self) -> Result<f64, String> {
        match self.min_learning_rate.unwrap_or(0.0) {
            least if least >= 0.0 => Ok(least),
            least => Err(format!("min_learning_rate = {least}: expected 0 or above")),
        }
    }
}

fn falls(every: Option<u64>, milestones: Option<Vec<u64>>) -> Result<Falls, String> {
    match (every, milestones) {
        (Some(0), None) => Err("every = 0: expected a number of epochs above 0".into()),
        (Some(every), None) => Ok(Falls::Every(every)),
        (None, Some(milestones)) => {
            let ascending = milestones.windows(2).all(|pair| pair[0] < pair[1]);
            if milestones.first().is_none_or(|&first| first == 0) || !ascending {
                return Err(format!(
                    "milestones = {milestones:?}: expected numbers of epochs above 0, in ascending order"
                ));
            }
            Ok(Falls::Milestones(milestones))
        }
        (Some(_), Some(_)) => Err("step takes `every` or `milestones`, not both".into()),
        (None, None) => Err("step needs `every` (a number of epochs) or `milestones` (a list of them)".into()),
    }
}

impl TryFrom<ScheduleTable> for ScheduleSpec {
    type Error = String;

    fn try_from(written: ScheduleTable) -> Result<Self, String> {
        let (name, warmup_epochs) = (written.name, written.warmup_epochs);
        for (parameter, is_written, owners) in written.own() {
            if is_written && !owners.contains(&name) {
                let owners: Vec<&str> = owners.iter().map(|owner| owner.text()).collect();
                return Err(format!("`{parameter}` belongs to {}; {} has none", owners.join(" and "), name.text()));
            }
        }
        let shape = match name {
            ScheduleName::Constant => Shape::Constant,
            ScheduleName::Cosine => Shape::Cosine { min_learning_rate: written.min_learning_rate()? },
            ScheduleName::Polynomial => match written.power.unwrap_or(POWER) {
                power if power > 0.0 && power.is_finite() => {
                    Shape::Polynomial { power, min_learning_rate: written.min_learning_rate()? }
                }
                power => return Err(format!("power = {power}: expected a number above 0")),
            },
            ScheduleName::Step => match written.factor.unwrap_or(FACTOR) {
                factor if factor > 0.0 && factor < 1.0 => {
                    Shape::Step { at: falls(written.every, written.milestones)?, factor }
                }
                factor => return Err(format!("factor = {factor}: expected a number between 0 and 1")),
            },
            ScheduleName::OneCycle => Shape::OneCycle(written.one_cycle()?),
        };
        Ok(ScheduleSpec { shape, warmup_epochs })
    }
}

impl From<ScheduleSpec> for ScheduleTable {
    fn from(ScheduleSpec { shape, warmup_epochs }: ScheduleSpec) -> ScheduleTable {
        let written = |name| ScheduleTable {
            name,
            min_learning_rate: None,
            power: None,
            every: None,
            milestones: None,
            factor: None,
            warmup: None,
            div_factor: None,
            final_div_factor: None,
            warmup_epochs,
        };
        match shape {
            Shape::Constant => written(ScheduleName::Constant),
            Shape::Cosine { min_learning_rate } => {
                ScheduleTable { min_learning_rate: Some(min_learning_rate), ..written(ScheduleName::Cosine) }
            }
            Shape::Polynomial { power, min_learning_rate } => ScheduleTable {
                power: Some(power),
                min_learning_rate: Some(min_learning_rate),
                ..written(ScheduleName::Polynomial)
            },
            Shape::Step { at: Falls::Every(every), factor } => {
                ScheduleTable { every: Some(every), factor: Some(factor), ..written(ScheduleName::Step) }
            }
            Shape::Step { at: Falls::Milestones(milestones), factor } => {
                ScheduleTable { milestones: Some(milestones), factor: Some(factor), ..written(ScheduleName::Step) }
            }
            Shape::OneCycle(OneCycle { warmup, div_factor, final_div_factor }) => ScheduleTable {
                warmup: Some(warmup),
                div_factor: Some(div_factor),
                final_div_factor: Some(final_div_factor),
                ..written(ScheduleName::OneCycle)
            },
        }
    }
}

impl ScheduleSpec {
    /// Checks the schedule for a training of `epochs` that starts at `learning_rate`.
    ///
    /// # Errors
    /// One line with the remedy.
    pub fn check(&self, epochs: u64, learning_rate: f64) -> Result<(), String> {
        if self.warmup_epochs >= epochs && self.warmup_epochs > 0 {
            return Err(format!("warmup_epochs = {} must be below the {epochs} epochs", self.warmup_epochs));
        }
        match &self.shape {
            &(Shape::Cosine { min_learning_rate } | Shape::Polynomial { min_learning_rate, .. })
                if min_learning_rate > learning_rate =>
            {
                Err(format!(
                    "min_learning_rate = {min_learning_rate} is above the optimizer's learning_rate = {learning_rate}"
                ))
            }
            Shape::Step { at: Falls::Every(every), .. } if *every >= epochs => Err(format!(
                "every = {every}: the rate would never fall in {epochs} epochs; use a smaller one, or \
                 `name = \"constant\"`"
            )),
            Shape::Step { at: Falls::Milestones(milestones), .. } => {
                match milestones.iter().find(|&&milestone| milestone >= epochs) {
                    Some(late) => Err(format!(
                        "milestones = {milestones:?}: the rate would fall after epoch {late}, but there are {epochs}"
                    )),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The learning rate of step `step` of `epochs` epochs of `steps_per_epoch` each, counted from 0 over all epochs.
    ///
    /// Warm-up: `learning_rate` · (step + 1) / warm-up steps. Cosine and polynomial, after the warm-up: from
    /// `learning_rate` at the first step towards `min_learning_rate` after the last (cosine: Loshchilov & Hutter 2017,
    /// Eq. 5, without restarts). Step: `learning_rate` after all reductions up to the step's epoch. One-cycle: `learning_rate` is
    /// the highest rate.
    pub fn learning_rate(&self, learning_rate: f64, step: u64, steps_per_epoch: u64, epochs: u64) -> f64 {
        let warmup = self.warmup_epochs * steps_per_epoch;
        if step < warmup {
            return learning_rate * (step + 1) as f64 / warmup as f64;
        }
        let done = (step - warmup) as f64 / (steps_per_epoch * epochs - warmup) as f64;
        match &self.shape {
            Shape::Constant => learning_rate,
            Shape::Cosine { min_learning_rate } => {
                min_learning_rate + (learning_rate - min_learning_rate) * (1.0 + (PI * done).cos()) / 2.0
            }
            Shape::Polynomial { power, min_learning_rate } => {
                min_learning_rate + (learning_rate - min_learning_rate) * (1.0 - done).powf(*power)
            }
            Shape::Step { at, factor } => {
                let epoch = step / steps_per_epoch;
                let fallen = match at {
                    Falls::Every(every) => epoch / every,
                    Falls::Milestones(milestones) => milestones.partition_point(|&at| at <= epoch) as u64,
                };
                learning_rate * factor.powi(i32::try_from(fallen).unwrap_or(i32::MAX))
            }
            Shape::OneCycle(cycle) => cycle.learning_rate(learning_rate, step, steps_per_epoch * epochs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ScheduleSpec, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn cosine_falls_from_the_rate_to_the_minimum_after_a_linear_warm_up() {
        let cosine = read("name = 'cosine'\nmin_learning_rate = 1e-3\nwarmup_epochs = 2").unwrap();
        let rates: Vec<f64> = (0..60).map(|step| cosine.learning_rate(0.1, step, 10, 6)).collect();
        assert!((rates[0] - 0.005).abs() < 1e-15 && (rates[19] - 0.1).abs() < 1e-15);
        assert_eq!(rates[20], 0.1);
        assert!((rates[40] - (0.1 + 1e-3) / 2.0).abs() < 1e-15, "half way: {}", rates[40]);
        assert!(rates[20..].windows(2).all(|pair| pair[1] < pair[0]) && rates[59] > 1e-3 && rates[59] < 1.2e-3);
    }

    #[test]
    fn a_constant_rate_stays() {
        let constant = ScheduleSpec::default();
        assert!((0..50).all(|step| constant.learning_rate(0.3, step, 5, 10) == 0.3));
        assert_eq!(serde_json::to_string(&constant).unwrap(), r#"{"name":"constant","warmup_epochs":0}"#);
    }

    /// The rate at the first and the last step of each epoch.
    fn ends(schedule: &ScheduleSpec, epochs: u64) -> Vec<[f64; 2]> {
        (0..epochs).map(|epoch| [0, 9].map(|step| schedule.learning_rate(0.8, 10 * epoch + step, 10, epochs))).collect()
    }

    /// `StepLR(step_size=2, gamma=0.5)` and `MultiStepLR(milestones=[1, 4], gamma=0.1)` of torch 2.11.0 from 0.8 on.
    #[test]
    fn step_is_pytorchs() {
        let close = |schedule: &ScheduleSpec, torch: [f64; 6]| {
            for (ends, torch) in ends(schedule, 6).into_iter().zip(torch) {
                assert!(ends.iter().all(|ours| (ours - torch).abs() <= 1e-15 * torch), "{ends:?} {torch}");
            }
        };
        let every = read("name = 'step'\nevery = 2\nfactor = 0.5").unwrap();
        close(&every, [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]);
        let milestones = read("name = 'step'\nmilestones = [1, 4]").unwrap();
        close(
            &milestones,
            [
                0.8,
                0.08000000000000002,
                0.08000000000000002,
                0.08000000000000002,
                0.008000000000000002,
                0.008000000000000002,
            ],
        );
        let json = serde_json::to_string(&milestones).unwrap();
        assert_eq!(json, r#"{"name":"step","milestones":[1,4],"factor":0.1,"warmup_epochs":0}"#);
        assert_eq!(serde_json::from_str::<ScheduleSpec>(&json).unwrap(), milestones);
        // The epochs of the reductions count from the start, warm-up included.
        let warm = read("name = 'step'\nevery = 2\nfactor = 0.5\nwarmup_epochs = 3").unwrap();
        assert_eq!(ends(&warm, 6)[2..], [[0.8 * 21.0 / 30.0, 0.8], [0.4, 0.4], [0.2, 0.2], [0.2, 0.2]]);
    }

    #[test]
    fn one_cycle_goes_up_and_down() {
        let cycle = read("name = 'one-cycle'").unwrap();
        let rates: Vec<f64> = (0..20).map(|step| cycle.learning_rate(0.8, step, 4, 5)).collect();
        assert!((rates[0] - 0.032).abs() < 1e-15 && rates[5] == 0.8 && (rates[19] - 3.2e-6).abs() < 1e-15, "{rates:?}");
        assert!(rates[..6].is_sorted() && rates[5..].iter().rev().is_sorted());
        let json = serde_json::to_string(&cycle).unwrap();
        let expected =
            r#"{"name":"one-cycle","warmup":0.3,"div_factor":25.0,"final_div_factor":10000.0,"warmup_epochs":0}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<ScheduleSpec>(&json).unwrap(), cycle);
    }

    #[test]
    fn polynomial_falls_from_the_rate_to_the_minimum() {
        let poly = read("name = 'polynomial'\npower = 0.9\nmin_learning_rate = 0.1").unwrap();
        let rates: Vec<f64> = (0..60).map(|step| poly.learning_rate(0.8, step, 10, 6)).collect();
        assert_eq!(rates[0], 0.8);
        assert!((rates[30] - (0.1 + 0.7 * 0.5f64.powf(0.9))).abs() < 1e-15);
        assert!(rates.windows(2).all(|pair| pair[1] < pair[0]) && rates[59] > 0.1 && rates[59] < 0.12);
        let json = serde_json::to_string(&read("name = 'polynomial'").unwrap()).unwrap();
        assert_eq!(json, r#"{"name":"polynomial","min_learning_rate":0.0,"power":1.0,"warmup_epochs":0}"#);
    }

    #[test]
    fn json_is_unchanged() {
        let json = serde_json::to_string(&read("name = 'cosine'").unwrap()).unwrap();
        assert_eq!(json, r#"{"name":"cosine","min_learning_rate":0.0,"warmup_epochs":0}"#);
    }

    #[test]
    fn invalid_parameters_are_rejected() {
        for (text, expected) in [
            ("name = 'constant'\nmin_learning_rate = 0.1", "belongs to cosine and polynomial; constant has none"),
            ("name = 'step'\nevery = 2\nmin_learning_rate = 0.1", "belongs to cosine and polynomial; step has none"),
            ("name = 'cosine'\nfactor = 0.1", "`factor` belongs to step; cosine has none"),
            ("name = 'cosine'\nevery = 1", "`every` belongs to step"),
            ("name = 'cosine'\nmilestones = [1]", "`milestones` belongs to step"),
            ("name = 'cosine'\npower = 1", "`power` belongs to polynomial"),
            ("name = 'cosine'\nmin_learning_rate = -0.1", "min_learning_rate = -0.1: expected 0 or above"),
            ("name = 'polynomial'\npower = 0", "power = 0: expected a number above 0"),
            ("name = 'step'", "step needs `every` (a number of epochs) or `milestones`"),
            ("name = 'step'\nevery = 1\nmilestones = [1]", "`every` or `milestones`, not both"),
            ("name = 'step'\nevery = 0", "every = 0: expected"),
            ("name = 'step'\nevery = 2\nfactor = 1", "factor = 1: expected a number between 0 and 1"),
            ("name = 'step'\nmilestones = []", "milestones = []: expected"),
            (
                "name = 'step'\nmilestones = [3, 3]",
                "milestones = [3, 3]: expected numbers of epochs above 0, in ascending order",
            ),
            ("name = 'steps'", "unknown variant `steps`"),
            ("name = 'one-cycle'\nwarmup_epochs = 1", "`warmup_epochs` is not for one-cycle: its rise is `warmup`"),
            ("name = 'one-cycle'\nwarmup = 1", "warmup = 1: expected a share of the steps, 0 to below 1"),
            ("name = 'one-cycle'\ndiv_factor = 0.5", "div_factor = 0.5: expected 1 or above"),
            ("name = 'one-cycle'\nmin_learning_rate = 0.1", "belongs to cosine and polynomial; one-cycle has none"),
            ("name = 'cosine'\nwarmup = 0.3", "`warmup` belongs to one-cycle; cosine has none"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for (text, expected) in [
            ("name = 'step'\nevery = 6", "every = 6: the rate would never fall in 6 epochs"),
            ("name = 'step'\nmilestones = [2, 6]", "the rate would fall after epoch 6, but there are 6"),
            ("name = 'polynomial'\nmin_learning_rate = 2", "above the optimizer's learning_rate"),
        ] {
            let error = read(text).unwrap().check(6, 1.0).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(read("name = 'step'\nmilestones = [2, 5]").unwrap().check(6, 1.0), Ok(()));
        let cosine = read("name = 'cosine'\nmin_learning_rate = 0.1\nwarmup_epochs = 5").unwrap();
        assert!(cosine.check(5, 1.0).unwrap_err().contains("must be below the 5 epochs"));
        assert!(cosine.check(6, 0.01).unwrap_err().contains("above the optimizer's learning_rate"));
        assert_eq!(cosine.check(6, 1.0), Ok(()));
    }
}
