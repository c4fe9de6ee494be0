//! How the weights of the classes in a loss are chosen in an experiment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Weights of the classes in the loss: `"inverse"`, `"effective"`, or a table `{ CLASS = weight }`, in which a class that is not
/// named has weight 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClassWeighting {
    /// From the pixels of the training images.
    By(Frequency),
    /// By class, 0 or more.
    Given(BTreeMap<String, f64>),
}

/// How a weight follows from the pixels of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Frequency {
    /// 1 / pixels of the class in the training images.
    Inverse,
    /// 1 / effective number of pixels (Cui et al. 2019, *Class-balanced loss based on effective number of samples*, Eq. 2):
    /// (1 − βⁿ) / (1 − β) for n pixels, with β = (N − 1) / N and N the pixels of a mean training image. A class that fills several
    /// images counts as one that fills more of them; one that is rare in all of them counts nearly as with `inverse`.
    Effective,
}

impl ClassWeighting {
    /// Checks what is known without a data set.
    ///
    /// # Errors
    /// One line with the remedy.
    pub fn check(&self) -> Result<(), String> {
        let ClassWeighting::Given(weights) = self else { return Ok(()) };
        if weights.is_empty() {
            return Err(
                "an empty table weighs no class: name classes, e.g. `{ martensite = 2.0 }`, or leave it out".into()
            );
        }
        match weights.iter().find(|(_, weight)| !(0.0..f64::INFINITY).contains(*weight)) {
            Some((class, weight)) => Err(format!("the weight of {class} is {weight}; expected 0 or more")),
            None => Ok(()),
        }
    }

    /// Checks that `classes` has all classes of the table, and that one of them counts.
    ///
    /// # Errors
    /// One line with the remedy.
    pub fn check_classes(&self, classes: &[String]) -> Result<(), String> {
        let ClassWeighting::Given(weights) = self else { return Ok(()) };
        if let Some(unknown) = weights.keys().find(|name| !classes.contains(name)) {
            return Err(format!("there is no class {unknown:?}; the data set has {}", classes.join(", ")));
        }
        if classes.iter().all(|class| weights.get(class) == Some(&0.0)) {
            return Err("every class has weight 0, so there is nothing to learn: give one of them more".into());
        }
        Ok(())
    }

    /// The weight of each of `classes`, which have `pixels` in `images` training images; ignored pixels are in none of them. Weights
    /// that follow from pixels have the mean 1 over the classes that occur; one that does not occur has 0.
    ///
    /// # Errors
    /// If no class has a pixel, or as [`ClassWeighting::check_classes`].
    pub fn weights(&self, classes: &[String], pixels: &[u64], images: usize) -> Result<Vec<f64>, String> {
        self.check_classes(classes)?;
        let frequency = match self {
            ClassWeighting::By(frequency) => *frequency,
            ClassWeighting::Given(weights) => {
                return Ok(classes.iter().map(|class| weights.get(class).copied().unwrap_or(1.0)).collect());
            }
        };
        let all: u64 = pixels.iter().sum();
        if all == 0 {
            return Err("no pixel of the training images has a class: the masks label nothing".into());
        }
        // Of the training set, in mean images.
        let unit = (all as f64 / images.max(1) as f64).max(1.0);
        let raw = |&pixels: &u64| match (pixels, frequency) {
            (0, _) => 0.0,
            (_, Frequency::Inverse) => 1.0 / pixels as f64,
            (_, Frequency::Effective) => -1.0 / (pixels as f64 * (-1.0 / unit).ln_1p()).exp_m1(),
        };
        let raw: Vec<f64> = pixels.iter().map(raw).collect();
        let occurring = pixels.iter().filter(|pixels| **pixels > 0).count() as f64;
        let sum: f64 = raw.iter().sum();
        Ok(raw.into_iter().map(|weight| weight * occurring / sum).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> ClassWeighting {
        serde_json::from_value(value).unwrap()
    }

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).into()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12 * (1.0 + b)), "{found:?} {expected:?}");
    }

    #[test]
    fn inverse_weights_have_the_mean_one_over_the_classes_that_occur() {
        let weights = read(json!("inverse")).weights(&names(), &[900, 0, 100], 7).unwrap();
        // 1 / 900 and 1 / 100, times 180.
        close(&weights, &[0.2, 0.0, 1.8]);
    }

    #[test]
    fn effective_numbers_are_those_of_the_paper() {
        let pixels = [9000u64, 10, 990];
        let weights = read(json!("effective")).weights(&names(), &pixels, 10).unwrap();
        let beta: f64 = 999.0 / 1000.0;
        let raw = pixels.map(|n| (1.0 - beta) / (1.0 - beta.powi(n as i32)));
        let sum: f64 = raw.iter().sum();
        close(&weights, &raw.map(|w| 3.0 * w / sum));
        // More even than inverse ones.
        let inverse = read(json!("inverse")).weights(&names(), &pixels, 10).unwrap();
        assert!(weights[1] / weights[0] < 0.2 * inverse[1] / inverse[0], "{weights:?} {inverse:?}");
        close(&read(json!("effective")).weights(&names(), &[1, 0, 0], 1).unwrap(), &[1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_table_is_taken_as_it_is() {
        let weights = read(json!({ "b": 3.5, "c": 0 }));
        close(&weights.weights(&names(), &[1, 0, 0], 1).unwrap(), &[1.0, 3.5, 0.0]);
        assert_eq!(serde_json::to_value(&weights).unwrap(), json!({ "b": 3.5, "c": 0.0 }));
        assert_eq!(serde_json::to_value(read(json!("effective"))).unwrap(), json!("effective"));
    }

    #[test]
    fn mistakes_are_named() {
        let given = |value| read(value).check().unwrap_err();
        assert!(given(json!({})).starts_with("an empty table weighs no class"));
        assert_eq!(given(json!({ "a": -1 })), "the weight of a is -1; expected 0 or more");
        let of = |value| read(value).weights(&names(), &[0, 0, 0], 2).unwrap_err();
        assert_eq!(of(json!({ "d": 2 })), "there is no class \"d\"; the data set has a, b, c");
        assert!(of(json!({ "a": 0, "b": 0, "c": 0 })).starts_with("every class has weight 0"));
        assert!(of(json!("inverse")).starts_with("no pixel of the training images has a class"));
        assert!(serde_json::from_value::<ClassWeighting>(json!("inverted")).is_err());
    }
}
