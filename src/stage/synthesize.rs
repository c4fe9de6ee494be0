//! `synthesize`: generates micrographs with exact masks, to try out and test the program.

use super::data_set;
use super::errors::data_error;
use super::{Context, StageError, StageKind};
use crate::data::synthesize::{SynthesizeParams, synthesize};
use crate::experiment::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Generates micrographs. Writes `manifest.json`, images and masks. Uses its own `seed`, not the experiment's, so that
/// the data do not change with the experiment's seeds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Synthesize(SynthesizeParams);

impl StageKind for Synthesize {
    const KIND: &'static str = "synthesize";
    const CODE_VERSION: u32 = 2;
    const LEAVES: &'static [&'static str] = data_set::LEAVES;

    fn check(&self) -> Result<(), ParamError> {
        self.0.check().map_err(|(param, message)| ParamError::Check { param, message })
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let out = context.out.clone();
        synthesize(&self.0, &out, &context.image_counter()).map_err(data_error)?;
        Ok(())
    }
}
