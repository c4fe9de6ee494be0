//! How much of its work a running stage has done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of its work a stage has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Units done: epochs for trainings, images for other stages.
    pub done: u64,
    /// Units in total.
    pub total: u64,
    /// What is counted: `"epoch"`, `"image"`, …
    pub unit: String,
    /// Latest training loss; null for stages without one.
    pub loss: Option<f64>,
    /// A short remark, e.g. `"val mIoU 0.71"`.
    pub note: Option<String>,
}
