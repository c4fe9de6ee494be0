//! Losses: softmax + Dice as segmentation_models_pytorch, cross-entropy, L2 normalisation + NT-Xent as lightly.

use super::{Found, Operation, sections_in};
use crate::hashed::{self, PLAIN, Spread};
use crate::part::{Done, Part};
use crate::section::hold;
use candle_core::{DType, Device, Result, Tensor, Var, bail};
use matssl_run::nn::{Role, losses};
use matssl_run::ssl::nt_xent;
use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Dice,
    CrossEntropy,
}

#[derive(Debug, Deserialize)]
struct SegmentationLoss {
    loss: Kind,
    shape: [usize; 4],
    ignore: bool,
    /// Of the logits.
    scale: f64,
}

impl Operation for SegmentationLoss {
    fn line(&self) -> String {
        match self.loss {
            Kind::Dice => "softmax + Dice".into(),
            Kind::CrossEntropy => "cross-entropy".into(),
        }
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let [batch, height, width, classes] = self.shape;
        let logits = hashed::tensor("logits", &self.shape, Spread { scale: self.scale, ..PLAIN }, dtype)?;
        let target = hashed::labels(classes, [batch, height, width], self.ignore)?;
        let ignore = self.ignore.then_some(255);
        let found = match self.loss {
            Kind::Dice => losses::dice(&logits, &target, ignore)?,
            Kind::CrossEntropy => losses::cross_entropy(&logits, &target, ignore)?,
        };
        let loss = Tensor::new(found.loss, &Device::Cpu)?;
        Ok([("loss", loss), ("logits", found.gradient)]
            .map(|(name, tensor)| (name.to_owned(), (tensor, Role::Buffer)))
            .into())
    }
}

/// A loss as an experiment names it.
#[derive(Debug, Deserialize)]
struct Specified {
    spec: serde_json::Value,
    /// Of the classes.
    weights: Option<Vec<f64>>,
    shape: [usize; 4],
    ignore: bool,
    /// Of the logits.
    scale: f64,
}

impl Operation for Specified {
    fn line(&self) -> String {
        let name = self.spec.as_str().or_else(|| self.spec["name"].as_str());
        name.map_or_else(|| "sum of losses".into(), |name| format!("loss {name}"))
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let [batch, height, width, classes] = self.shape;
        let logits = hashed::tensor("logits", &self.shape, Spread { scale: self.scale, ..PLAIN }, dtype)?;
        let target = hashed::labels(classes, [batch, height, width], self.ignore)?;
        let spec: losses::LossSpec = serde_json::from_value(self.spec.clone()).map_err(candle_core::Error::wrap)?;
        let found = spec.of(&logits, &target, self.ignore.then_some(255), self.weights.as_deref())?;
        let loss = Tensor::new(found.loss, &Device::Cpu)?;
        Ok([("loss", loss), ("logits", found.gradient)]
            .map(|(name, tensor)| (name.to_owned(), (tensor, Role::Buffer)))
            .into())
    }
}

#[derive(Debug, Deserialize)]
struct NtXent {
    temperature: f64,
    rows: usize,
    dimensions: usize,
    /// Of the embeddings before normalisation.
    scale: f64,
}

impl Operation for NtXent {
    fn line(&self) -> String {
        format!("L2 normalise + NT-Xent, τ = {}", self.temperature)
    }

    fn run(&self, dtype: DType) -> Result<Found> {
        let shape = [self.rows, self.dimensions];
        let spread = Spread { scale: self.scale, ..PLAIN };
        let [first, second] =
            ["first", "second"].map(|name| Var::from_tensor(&hashed::tensor(name, &shape, spread, dtype)?));
        let (first, second) = (first?, second?);
        let loss = nt_xent(&first, &second, self.temperature)?;
        let gradients = loss.backward()?;
        let (Some(dfirst), Some(dsecond)) = (gradients.get(&first), gradients.get(&second)) else {
            bail!("NT-Xent has no gradient")
        };
        Ok([("loss", &loss), ("first", dfirst), ("second", dsecond)]
            .map(|(name, tensor)| (name.to_owned(), (tensor.detach(), Role::Buffer)))
            .into())
    }

    /// Similarities are sums over dimensions, gradients over both views' rows.
    fn products(&self, _: &str) -> usize {
        self.dimensions.max(2 * self.rows)
    }
}

pub(super) static PART: Part = Part::new("losses", |done: Done<'_>| {
    super::sections::<SegmentationLoss>("segmentation_loss", done);
    // On a GPU they are refused.
    if !hashed::is_on_gpu() {
        sections_in::<Specified>(include_str!("../losses.json"), "losses", done);
    }
    super::sections::<NtXent>("nt_xent", done);
});

#[test]
fn losses_are_smps_and_lightlys() {
    hold(PART.sections());
}
