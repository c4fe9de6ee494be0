//! Published scores.

use serde::Deserialize;

/// One published score. Its authors measured it, on their machines and with their code.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Its name in experiments, e.g. `table4.metaldam.matssl.aachen+uhcs`.
    pub id: String,
    /// Name of its source.
    pub source: String,
    /// The data set that was scored.
    pub dataset: String,
    /// The method, as the source calls it.
    pub method: String,
    /// The data that it was pretrained on; `None` if the source names none.
    pub corpus: Option<String>,
    /// mIoU in percent.
    pub score: f64,
    /// Names of what contradicts it, or what readers have to know about it: texts of `[notes]`.
    #[serde(default)]
    pub notes: Vec<String>,
}
