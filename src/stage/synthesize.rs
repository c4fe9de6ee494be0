//! `synthesize`: generates micrographs with exact masks, to try out and test the program.

use super::data_set;
use super::errors::data_error;
use super::{Context, Foresight, Known, StageError, StageKind, images};
use crate::data::Manifest;
use crate::data::synthesize::{SynthesizeParams, outline, synthesize};
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

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let manifest = known.output.as_ref().and_then(|output| Manifest::read(output.file(Manifest::FILE).ok()?).ok());
        let manifest = manifest.unwrap_or_else(|| outline(&self.0));
        Foresight { prospect: Some(images(&manifest)), ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let out = context.out.clone();
        synthesize(&self.0, &out, &context.image_counter()).map_err(data_error)?;
        Ok(())
    }
}
