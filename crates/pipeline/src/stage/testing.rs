//! Kinds of stages for tests of the engine.

use super::{Context, Foresight, Kind, Kinds, Known, StageError, StageKind};
use crate::parameters::{Input, ReferenceSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All test kinds.
pub(crate) static KINDS: &Kinds = &[&Kind::of::<Source>(), &Kind::of::<Training>()];

/// A mock data set.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Source {
    path: Option<PathBuf>,
}

impl StageKind for Source {
    const KIND: &'static str = "source";
    const CODE_VERSION: u32 = 1;
    const UNKEYED: &'static [&'static str] = &["path"];

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, _: &mut Context) -> Result<(), StageError> {
        Ok(())
    }
}

/// A mock training.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Training {
    data: Input,
    epochs: u32,
    batch_size: u32,
    method: Method,
    encoder: Encoder,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Method {
    temperature: f64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Encoder {
    arch: String,
    weights: PathBuf,
}

impl StageKind for Training {
    const KIND: &'static str = "training";
    const CODE_VERSION: u32 = 1;
    const TRAINS: bool = true;
    const UNKEYED: &'static [&'static str] = &["encoder.weights"];
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec::many("data", &["source"])];

    fn draws(&self) -> bool {
        true
    }

    fn computes(&self) -> bool {
        true
    }

    fn foresee(&self, _: &Known<'_>) -> Foresight {
        Foresight::nothing()
    }

    fn run(&self, _: &mut Context) -> Result<(), StageError> {
        Ok(())
    }
}
