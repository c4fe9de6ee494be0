//! How the learning rate goes over a training.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// A schedule and its parameters, as in `schedule = { name = "cosine", min_learning_rate = 1e-4 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct ScheduleSpec {
    shape: Shape,
    /// Epochs over which the rate first rises from near 0 in a line; 0 by default.
    warmup_epochs: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Constant,
    Cosine { min_learning_rate: f64 },
}

impl Default for ScheduleSpec {
    fn default() -> Self {
        ScheduleSpec { shape: Shape::Constant, warmup_epochs: 0 }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Constant,
    Cosine,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_learning_rate: Option<f64>,
    #[serde(default)]
    warmup_epochs: u64,
}

impl TryFrom<Written> for ScheduleSpec {
    type Error = String;

    fn try_from(Written { name, min_learning_rate, warmup_epochs }: Written) -> Result<Self, String> {
        let shape = match (name, min_learning_rate) {
            (Name::Constant, None) => Shape::Constant,
            (Name::Constant, Some(_)) => return Err("`min_learning_rate` belongs to cosine".into()),
            (Name::Cosine, least) => match least.unwrap_or(0.0) {
                min_learning_rate if min_learning_rate >= 0.0 => Shape::Cosine { min_learning_rate },
                least => return Err(format!("min_learning_rate = {least}: a learning rate is 0 or above")),
            },
        };
        Ok(ScheduleSpec { shape, warmup_epochs })
    }
}

impl From<ScheduleSpec> for Written {
    fn from(ScheduleSpec { shape, warmup_epochs }: ScheduleSpec) -> Written {
        match shape {
            Shape::Constant => Written { name: Name::Constant, min_learning_rate: None, warmup_epochs },
            Shape::Cosine { min_learning_rate } => {
                Written { name: Name::Cosine, min_learning_rate: Some(min_learning_rate), warmup_epochs }
            }
        }
    }
}

impl ScheduleSpec {
    /// What does not fit a training of `epochs` that starts at `learning_rate`.
    ///
    /// # Errors
    /// One line with the cure.
    pub fn check(&self, epochs: u64, learning_rate: f64) -> Result<(), String> {
        if self.warmup_epochs >= epochs && self.warmup_epochs > 0 {
            return Err(format!("warmup_epochs = {} leaves none of {epochs} epochs", self.warmup_epochs));
        }
        match self.shape {
            Shape::Cosine { min_learning_rate } if min_learning_rate > learning_rate => Err(format!(
                "min_learning_rate = {min_learning_rate} is above the optimizer's learning_rate = {learning_rate}"
            )),
            _ => Ok(()),
        }
    }

    /// The learning rate of step `step` of `epochs` epochs of `steps_per_epoch` each, counted from 0 over all epochs.
    ///
    /// Warm-up: (step + 1) / warm-up steps of `learning_rate`. Cosine, from there on: from `learning_rate` at its first
    /// step towards `min_learning_rate` after the last, by the step (Loshchilov & Hutter 2017, Eq. 5, without restarts).
    pub fn learning_rate(&self, learning_rate: f64, step: u64, steps_per_epoch: u64, epochs: u64) -> f64 {
        let warmup = self.warmup_epochs * steps_per_epoch;
        if step < warmup {
            return learning_rate * (step + 1) as f64 / warmup as f64;
        }
        match self.shape {
            Shape::Constant => learning_rate,
            Shape::Cosine { min_learning_rate } => {
                let done = (step - warmup) as f64 / (steps_per_epoch * epochs - warmup) as f64;
                min_learning_rate + (learning_rate - min_learning_rate) * (1.0 + (PI * done).cos()) / 2.0
            }
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
    fn cosine_goes_from_the_rate_to_the_least_and_warms_up_in_a_line() {
        let cosine = read("name = 'cosine'\nmin_learning_rate = 1e-3\nwarmup_epochs = 2").unwrap();
        let rates: Vec<f64> = (0..60).map(|step| cosine.learning_rate(0.1, step, 10, 6)).collect();
        assert!((rates[0] - 0.005).abs() < 1e-15 && (rates[19] - 0.1).abs() < 1e-15);
        assert_eq!(rates[20], 0.1);
        assert!((rates[40] - (0.1 + 1e-3) / 2.0).abs() < 1e-15, "half way: {}", rates[40]);
        assert!(rates[20..].windows(2).all(|pair| pair[1] < pair[0]) && rates[59] > 1e-3 && rates[59] < 1.2e-3);
    }

    #[test]
    fn constant_stays() {
        let constant = ScheduleSpec::default();
        assert!((0..50).all(|step| constant.learning_rate(0.3, step, 5, 10) == 0.3));
        assert_eq!(serde_json::to_string(&constant).unwrap(), r#"{"name":"constant","warmup_epochs":0}"#);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(
            read("name = 'constant'\nmin_learning_rate = 0.1").unwrap_err().message().contains("belongs to cosine")
        );
        assert!(read("name = 'cosine'\nmin_learning_rate = -0.1").is_err());
        let cosine = read("name = 'cosine'\nmin_learning_rate = 0.1\nwarmup_epochs = 5").unwrap();
        assert!(cosine.check(5, 1.0).unwrap_err().contains("leaves none of 5 epochs"));
        assert!(cosine.check(6, 0.01).unwrap_err().contains("above the optimizer's learning_rate"));
        assert_eq!(cosine.check(6, 1.0), Ok(()));
    }
}
