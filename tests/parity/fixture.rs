//! What `generate.py` wrote.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is kept of a tensor: norm and one or two projections in float64, relative error of PyTorch's float32.
pub(crate) type Kept = Vec<f64>;

/// By tensor name.
pub(crate) type Tensors = BTreeMap<String, Kept>;

/// One case of an operation.
#[derive(Deserialize)]
pub(crate) struct Case<P> {
    #[serde(flatten)]
    pub(crate) operation: P,
    /// Output, loss, gradients, statistics.
    pub(crate) tensors: Tensors,
}

/// A whole network.
#[derive(Deserialize)]
pub(crate) struct Described<P> {
    #[serde(flatten)]
    pub(crate) network: P,
    pub(crate) learning_rates: Option<LearningRates>,
    #[serde(default)]
    pub(crate) inference: Tensors,
    pub(crate) training: Tensors,
    pub(crate) statistics: Tensors,
    columns: Vec<Column>,
    parameters: BTreeMap<String, Vec<Kept>>,
}

/// Of three steps.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct LearningRates {
    pub(crate) sgd: f64,
    pub(crate) adam: f64,
}

/// What is kept of every parameter.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Column {
    /// Its gradient in training mode.
    Gradient,
    /// Its gradient with the running statistics instead of the batch's.
    Frozen,
    /// Its value after three steps of SGD.
    Sgd,
    /// Its value after three steps of Adam.
    Adam,
}

impl<P> Described<P> {
    /// One column by parameter name; none if the file has none.
    pub(crate) fn column(&self, column: Column) -> Option<Tensors> {
        let place = self.columns.iter().position(|&found| found == column)?;
        Some(self.parameters.iter().map(|(name, kept)| (name.clone(), kept[place].clone())).collect())
    }
}

/// The list `section` of `ops.json` or `networks.json`.
pub(crate) fn section<C: DeserializeOwned>(text: &str, section: &str) -> Vec<C> {
    let mut file: BTreeMap<String, Value> = serde_json::from_str(text).expect("a JSON object");
    let cases = file.remove(section).unwrap_or_else(|| panic!("no section {section}"));
    serde_json::from_value(cases).unwrap_or_else(|error| panic!("{section}: {error}"))
}
