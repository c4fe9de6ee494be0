//! What `model.json` says in a folder of several models that predict together.

use super::description::FORMAT_VERSION;
use serde::{Deserialize, Serialize};

/// The `model.json` of an ensemble: its members are model folders in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleDescription {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// The stages, as they were asked for.
    pub name: String,
    /// The models.
    pub ensemble: Vec<Member>,
}

/// A model of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its folder, inside the ensemble's.
    pub folder: String,
    /// Its digest: blake3 of what its `model.json` says, without `model.onnx`.
    pub model: String,
}

impl EnsembleDescription {
    /// The key that tells the `model.json` of an ensemble from that of a model.
    pub(super) const KEY: &str = "ensemble";

    /// Of `members`.
    pub(super) fn new(name: &str, members: Vec<Member>) -> Self {
        EnsembleDescription { format_version: FORMAT_VERSION, name: name.to_owned(), ensemble: members }
    }
}
