//! The choice of a loss and its parameters in an experiment.

use super::loss_gradient::LossGradient;
use super::{Tversky, cross_entropy, dice, focal, lovasz_softmax, nasa_dice_bce, tversky, weighted_cross_entropy};
use candle_core::{Result, Tensor};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A loss as in `loss = "dice"`, `loss = { name = "tversky", alpha = 0.3, beta = 0.7 }`, or a sum with weights as in `loss = { dice = 0.5,
/// cross-entropy = 0.5 }`.
///
/// | name | own parameters, with defaults |
/// | --- | --- |
/// | `dice`, `jaccard`, `lovasz-softmax`, `nasa-dice-bce` | |
/// | `cross-entropy` | `label_smoothing = 0.0` |
/// | `focal` | `gamma = 2.0` |
/// | `tversky` | `alpha = 0.3` (weight of what is wrongly found), `beta = 0.7` (of what is missed) |
/// | `focal-tversky` | the same, and `gamma = 0.75` |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct LossSpec {
    /// Each loss of the sum, with its weight.
    terms: Vec<(f64, Term)>,
}

/// One loss with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Term {
    Dice,
    CrossEntropy { label_smoothing: f64 },
    Focal { gamma: f64 },
    Jaccard,
    Tversky(Tversky),
    FocalTversky(Tversky),
    Lovasz,
    NasaDiceBce,
}

/// A parameter of a loss: its name, its default, and the values that it may have.
type Own = (&'static str, f64, fn(f64) -> bool, &'static str);

const NAMES: [&str; 8] =
    ["dice", "cross-entropy", "focal", "jaccard", "tversky", "focal-tversky", "lovasz-softmax", "nasa-dice-bce"];

fn is_weight(value: f64) -> bool {
    (0.0..=10.0).contains(&value)
}

const SMOOTHING: Own = ("label_smoothing", 0.0, |value| (0.0..1.0).contains(&value), "0 to below 1");
const FOCUS: Own = ("gamma", 2.0, is_weight, "0 to 10");
const ALPHA: Own = ("alpha", 0.3, is_weight, "0 to 10");
const BETA: Own = ("beta", 0.7, is_weight, "0 to 10");
// Abraham and Khan 2019 write 1 / γ with γ = 4/3.
const POWER: Own = ("gamma", 0.75, |value| value > 0.0 && value <= 10.0, "above 0 to 10");

/// The parameters of the loss `name`.
fn own(name: &str) -> &'static [Own] {
    match name {
        "cross-entropy" => &[SMOOTHING],
        "focal" => &[FOCUS],
        "tversky" => &[ALPHA, BETA],
        "focal-tversky" => &[ALPHA, BETA, POWER],
        _ => &[],
    }
}

impl Term {
    /// The loss `name` with the parameters in `table`.
    fn parse(name: &str, table: &Map<String, Value>) -> std::result::Result<Self, String> {
        if !NAMES.contains(&name) {
            return Err(format!("there is no loss {name:?}; expected {}", NAMES.join(", ")));
        }
        let parameters = own(name);
        if let Some(unknown) = table.keys().find(|key| parameters.iter().all(|(own, ..)| own != key)) {
            let names: Vec<_> = parameters.iter().map(|(name, ..)| format!("`{name}`")).collect();
            let has = if names.is_empty() { "no parameters".to_owned() } else { names.join(", ") };
            return Err(format!("the loss {name} has no parameter `{unknown}`; it has {has}"));
        }
        let value = |&(own, default, fits, expected): &Own| match table.get(own) {
            None => Ok(default),
            Some(given) => given
                .as_f64()
                .filter(|value| fits(*value))
                .ok_or_else(|| format!("`{own}` of the loss {name} is {given}; expected {expected}")),
        };
        let values = parameters.iter().map(value).collect::<std::result::Result<Vec<f64>, _>>()?;
        Ok(match (name, &values[..]) {
            ("cross-entropy", &[label_smoothing]) => Term::CrossEntropy { label_smoothing },
            ("focal", &[gamma]) => Term::Focal { gamma },
            ("jaccard", _) => Term::Jaccard,
            ("tversky", &[alpha, beta]) => Term::Tversky(Tversky { alpha, beta, gamma: 1.0 }),
            ("focal-tversky", &[alpha, beta, gamma]) => Term::FocalTversky(Tversky { alpha, beta, gamma }),
            ("lovasz-softmax", _) => Term::Lovasz,
            ("nasa-dice-bce", _) => Term::NasaDiceBce,
            _ => Term::Dice,
        })
    }

    /// Its name and its parameters.
    fn parts(self) -> (&'static str, Vec<f64>) {
        match self {
            Term::Dice => ("dice", vec![]),
            Term::CrossEntropy { label_smoothing } => ("cross-entropy", vec![label_smoothing]),
            Term::Focal { gamma } => ("focal", vec![gamma]),
            Term::Jaccard => ("jaccard", vec![]),
            Term::Tversky(of) => ("tversky", vec![of.alpha, of.beta]),
            Term::FocalTversky(of) => ("focal-tversky", vec![of.alpha, of.beta, of.gamma]),
            Term::Lovasz => ("lovasz-softmax", vec![]),
            Term::NasaDiceBce => ("nasa-dice-bce", vec![]),
        }
    }

    /// Its parameters that are not the default.
    fn changed(self) -> Map<String, Value> {
        let (name, values) = self.parts();
        let changed = own(name).iter().zip(values).filter(|((_, default, ..), value)| default != value);
        changed.map(|((name, ..), value)| ((*name).to_owned(), json!(value))).collect()
    }

    fn of(self, logits: &Tensor, target: &Tensor, ignore: Option<u8>, weights: Option<&[f64]>) -> Result<LossGradient> {
        match self {
            Term::Dice if weights.is_none() => dice(logits, target, ignore),
            Term::Dice => {
                let even = Tversky { alpha: 0.5, beta: 0.5, gamma: 1.0 };
                tversky(logits, target, ignore, even, weights)
            }
            Term::CrossEntropy { label_smoothing: 0.0 } if weights.is_none() => cross_entropy(logits, target, ignore),
            Term::CrossEntropy { label_smoothing } => {
                weighted_cross_entropy(logits, target, ignore, label_smoothing, weights)
            }
            Term::Focal { gamma } => focal(logits, target, ignore, gamma, weights),
            Term::Jaccard => tversky(logits, target, ignore, Tversky::JACCARD, weights),
            Term::Tversky(of) | Term::FocalTversky(of) => tversky(logits, target, ignore, of, weights),
            Term::Lovasz => lovasz_softmax(logits, target, ignore, weights),
            Term::NasaDiceBce => nasa_dice_bce(logits, target, ignore),
        }
    }
}

impl LossSpec {
    /// The loss of `logits` `[batch, height, width, classes]` for `target` (u8, `[batch, height, width]`), in which pixels labelled
    /// `ignore` count nowhere. With `class_weights` classes count in proportion to them (NASA's loss has none).
    ///
    /// # Errors
    /// Those of the losses.
    pub fn of(
        &self,
        logits: &Tensor,
        target: &Tensor,
        ignore: Option<u8>,
        class_weights: Option<&[f64]>,
    ) -> Result<LossGradient> {
        let mut sum: Option<LossGradient> = None;
        for &(weight, term) in &self.terms {
            let LossGradient { loss, gradient } = term.of(logits, target, ignore, class_weights)?;
            let own = if weight == 1.0 { gradient } else { (gradient * weight)? };
            sum = Some(match sum {
                None => LossGradient { loss: weight * loss, gradient: own },
                Some(sum) => LossGradient { loss: sum.loss + weight * loss, gradient: (sum.gradient + own)? },
            });
        }
        sum.ok_or_else(|| candle_core::Error::Msg("a sum of no losses".into()))
    }

    /// Why class weights cannot be used with it, if so.
    pub fn without_class_weights(&self) -> Option<&'static str> {
        let is_nasa = self.terms.iter().any(|(_, term)| *term == Term::NasaDiceBce);
        is_nasa.then_some("the loss nasa-dice-bce has no class weights")
    }

    /// The names of its losses that have no GPU side.
    pub fn only_on_cpu(&self, class_weights: bool) -> Vec<&'static str> {
        let has_gpu = |term: &Term| match term {
            Term::Dice => !class_weights,
            Term::CrossEntropy { label_smoothing } => !class_weights && *label_smoothing == 0.0,
            _ => false,
        };
        self.terms.iter().filter(|(_, term)| !has_gpu(term)).map(|(_, term)| term.parts().0).collect()
    }
}

impl Default for LossSpec {
    fn default() -> Self {
        LossSpec { terms: vec![(1.0, Term::Dice)] }
    }
}

impl TryFrom<Value> for LossSpec {
    type Error = String;

    fn try_from(value: Value) -> std::result::Result<Self, String> {
        let mut table = match value {
            Value::String(name) => return Ok(LossSpec { terms: vec![(1.0, Term::parse(&name, &Map::new())?)] }),
            Value::Object(table) => table,
            other => return Err(format!("a loss is a name or a table, not {other}")),
        };
        if let Some(name) = table.remove("name") {
            let name = name.as_str().ok_or_else(|| format!("the name of a loss is a text, not {name}"))?.to_owned();
            return Ok(LossSpec { terms: vec![(1.0, Term::parse(&name, &table)?)] });
        }
        let weight = |name: &str, value: &Value| {
            let weight = value.as_f64().filter(|weight| *weight > 0.0 && weight.is_finite());
            weight.ok_or_else(|| format!("the weight of the loss {name} is {value}; expected a number above 0"))
        };
        let mut terms = Vec::new();
        for (name, value) in table {
            terms.push(match value {
                Value::Object(mut own) => {
                    let given = own.remove("weight").unwrap_or_else(|| json!(1.0));
                    (weight(&name, &given)?, Term::parse(&name, &own)?)
                }
                // An unknown name is the more likely fault.
                value => {
                    let term = Term::parse(&name, &Map::new())?;
                    (weight(&name, &value)?, term)
                }
            });
        }
        if terms.is_empty() {
            return Err(format!("an empty table names no loss; expected {}", NAMES.join(", ")));
        }
        Ok(LossSpec { terms })
    }
}

impl From<LossSpec> for Value {
    fn from(spec: LossSpec) -> Value {
        if let [(1.0, term)] = spec.terms[..] {
            let (name, mut changed) = (term.parts().0, term.changed());
            if changed.is_empty() {
                return name.into();
            }
            changed.insert("name".into(), name.into());
            return changed.into();
        }
        let terms = spec.terms.into_iter().map(|(weight, term)| {
            let mut changed = term.changed();
            let value = if changed.is_empty() {
                json!(weight)
            } else {
                changed.insert("weight".into(), json!(weight));
                changed.into()
            };
            (term.parts().0.to_owned(), value)
        });
        terms.collect::<Map<_, _>>().into()
    }
}

impl JsonSchema for LossSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Loss".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = json!({ "type": "number" });
        let own = |name: &str| -> Map<String, Value> {
            own(name)
                .iter()
                .map(|(own, default, ..)| ((*own).to_owned(), json!({ "type": "number", "default": default })))
                .collect()
        };
        let all: Map<String, Value> =
            NAMES.iter().flat_map(|name| own(name)).map(|(name, _)| (name, number.clone())).collect();
        let mut named = all;
        named.insert("name".into(), json!({ "enum": NAMES }));
        let weighted = |name: &str| {
            let mut properties = own(name);
            properties.insert("weight".into(), number.clone());
            json!({ "anyOf": [number, { "type": "object", "properties": properties, "additionalProperties": false }] })
        };
        let sum: Map<String, Value> = NAMES.iter().map(|name| ((*name).to_owned(), weighted(name))).collect();
        json_schema!({
            "description": "A loss by its name, with parameters, or several with weights.",
            "anyOf": [
                { "enum": NAMES },
                { "type": "object", "required": ["name"], "properties": named, "additionalProperties": false },
                { "type": "object", "properties": sum, "additionalProperties": false, "minProperties": 1 },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::testing::random;

    fn spec(value: Value) -> std::result::Result<LossSpec, String> {
        LossSpec::try_from(value)
    }

    #[test]
    fn every_form_is_written_as_it_is_read_without_defaults() {
        for value in [
            json!("dice"),
            json!("lovasz-softmax"),
            json!({ "name": "tversky", "alpha": 0.2 }),
            json!({ "dice": 0.5, "cross-entropy": 0.5 }),
            json!({ "cross-entropy": { "weight": 2.0, "label_smoothing": 0.1 }, "focal": 1.5 }),
        ] {
            assert_eq!(Value::from(spec(value.clone()).unwrap()), value);
        }
        let plain = spec(json!({ "name": "focal-tversky", "gamma": 0.75, "alpha": 0.3 })).unwrap();
        assert_eq!(Value::from(plain), json!("focal-tversky"));
        assert_eq!(Value::from(LossSpec::default()), json!("dice"));
    }

    #[test]
    fn mistakes_are_named() {
        for (value, message) in [
            (json!("dicee"), "there is no loss \"dicee\"; expected dice, cross-entropy, "),
            (json!({ "name": "dice", "gamma": 1 }), "the loss dice has no parameter `gamma`; it has no parameters"),
            (json!({ "name": "focal", "gamma": -1 }), "`gamma` of the loss focal is -1; expected 0 to 10"),
            (json!({ "dice": 0 }), "the weight of the loss dice is 0; expected a number above 0"),
            (json!({ "dcie": 0.5 }), "there is no loss \"dcie\""),
            (json!({ "tversky": { "alfa": 1 } }), "has no parameter `alfa`; it has `alpha`, `beta`"),
            (json!({}), "an empty table names no loss"),
            (json!(3), "a loss is a name or a table, not 3"),
        ] {
            let error = spec(value).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_sum_is_the_sum_of_its_losses() -> Result<()> {
        let (logits, target) = random(3, 5)?;
        let sum = spec(json!({ "dice": 0.25, "focal": 2.0 })).unwrap().of(&logits, &target, None, None)?;
        let (one, other) = (dice(&logits, &target, None)?, focal(&logits, &target, None, 2.0, None)?);
        assert_eq!(sum.loss, 0.25 * one.loss + 2.0 * other.loss);
        let expected = ((one.gradient * 0.25)? + (other.gradient * 2.0)?)?;
        assert_eq!((sum.gradient - expected)?.abs()?.max_all()?.to_scalar::<f64>()?, 0.0);
        // Equal class weights change nothing.
        for value in [json!("dice"), json!("cross-entropy"), json!("jaccard"), json!("lovasz-softmax"), json!("focal")]
        {
            let spec = spec(value).unwrap();
            let (plain, even) =
                (spec.of(&logits, &target, None, None)?, spec.of(&logits, &target, None, Some(&[2.0; 3]))?);
            assert!((plain.loss - even.loss).abs() < 1e-12, "{spec:?}");
        }
        Ok(())
    }
}
