//! A stage behind the numbers of a page.

use matssl_metrics::Evaluation;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Digits of a key that tell it from the others on a page.
const KEY_DIGITS: usize = 10;

/// A stage, and where its output comes from.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StageFacts {
    /// Its full name.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// Its seed; none if it draws nothing at random.
    pub seed: Option<u64>,
    /// `cached`, `run`, `waits` or `missing`, as `plan` says it.
    pub state: String,
    /// Its key, if all its inputs are made.
    pub key: Option<String>,
    /// The file of its record, relative to the cache.
    pub record: Option<String>,
    /// Where, when and by which program it was made.
    pub made: Option<Made>,
    /// Measurements of the run that made it: seconds, memory, images per second.
    pub telemetry: BTreeMap<String, Value>,
    /// Parameters (dotted) in which the stages of this kind differ.
    pub differing: BTreeMap<String, Value>,
    /// All parameters.
    pub params: Value,
    /// (parameter, stage) of each input.
    pub inputs: Vec<(String, String)>,
    /// The one of its inputs that is its data set.
    #[serde(skip)]
    pub data_set: Option<String>,
    /// Files outside the cache that it read.
    pub files: Option<DataFiles>,
    /// Its scores, if it is an evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Evaluation>,
}

/// Where, when and by which program a stage was made, as its record says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Made {
    /// The device that computed.
    pub device: String,
    /// Everything else in the record: for `run.json` and for the page's script.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The files of a data set.
#[derive(Clone, Debug, Serialize)]
pub struct DataFiles {
    /// Number of files.
    pub count: usize,
    /// Hash of the names and contents of all.
    pub digest: String,
}

impl StageFacts {
    /// One line: seed, data set, differing parameters, device, key, inputs.
    pub(super) fn line(&self) -> Markup {
        let mut parts = vec![self.kind.clone()];
        parts.extend(self.seed.map(|seed| format!("seed {seed}")));
        parts.extend(self.data_set.as_ref().map(|name| format!("data set {name}")));
        let differing = self.differing.iter().filter(|(_, value)| !value.is_null());
        parts.extend(differing.map(|(path, value)| format!("{path} = {}", plain(value))));
        parts.extend(self.made.as_ref().map(|made| format!("made on {}", made.device)));
        parts.extend(self.key.as_ref().map(|key| format!("key {}", &key[..key.len().min(KEY_DIGITS)])));
        let inputs = self.inputs.iter().filter(|(_, input)| self.data_set.as_ref() != Some(input));
        html! {
            (button(&self.stage, &self.stage))
            span.soft {
                @for part in parts { " · " (part) }
                @for (param, input) in inputs { " · " (param) " ← " (button(input, input)) }
            }
        }
    }
}

/// A button with `words` that opens the details of a stage.
pub(super) fn button(stage: &str, words: &str) -> Markup {
    html! { button.origin type="button" data-stage=(stage) title=(stage) { (words) } }
}

/// A parameter's value; text without quotation marks.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
