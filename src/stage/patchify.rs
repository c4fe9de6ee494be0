//! `patchify`: cuts images into patches for pretraining.

use super::data_set::manifests_of;
use super::errors::data_error;
use super::{Context, DATASET, DataUse, Stage, StageError, StageKind, Uses, open_dataset};
use crate::data::Split;
use crate::data::patches::{Edge, PatchParams, Patches, Use, cut};
use crate::experiment::{Input, ParamError, ReferenceSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cuts patches. Writes `patches.safetensors` (`patches`, u8 `[n, height, width, channels]`) and `index.csv` (image, x,
/// y, split).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Patchify {
    /// The data set with the images.
    dataset: Input,
    /// Side of a patch in pixels.
    size: usize,
    /// Overlap of neighbouring patches as a fraction of their side, from 0 to below 1.
    #[serde(default)]
    overlap: f64,
    /// Rule for image edges that patches do not fill.
    #[serde(default)]
    edge: Edge,
    /// Which images are cut. Test images cannot be chosen.
    #[serde(rename = "use", default = "unlabeled")]
    from: Use,
}

/// Checks the size and the overlap of patches. Returns the invalid parameter and the message.
pub(super) fn problem(size: usize, overlap: f64) -> Option<(&'static str, String)> {
    if !(8..=4096).contains(&size) {
        return Some(("size", format!("a patch of {size} pixels; expected 8 to 4096")));
    }
    let message = format!("an overlap of {overlap}; expected 0 to below 1, e.g. 0.5");
    (!(0.0..1.0).contains(&overlap)).then_some(("overlap", message))
}

fn unlabeled() -> Use {
    Use::Unlabeled
}

impl Patchify {
    fn params(&self) -> PatchParams {
        PatchParams { size: self.size, overlap: self.overlap, edge: self.edge, from: self.from }
    }
}

/// The parameters of `stage`, if it is a `patchify` stage.
pub fn patch_params(stage: &dyn Stage) -> Option<PatchParams> {
    stage.as_any().downcast_ref::<Patchify>().map(Patchify::params)
}

impl StageKind for Patchify {
    const KIND: &'static str = "patchify";
    const CODE_VERSION: u32 = 1;
    const LEAVES: &'static [&'static str] = &[Patches::FILE, Patches::INDEX];
    const REFERENCES: &'static [ReferenceSpec] = &[DATASET];

    fn check(&self) -> Result<(), ParamError> {
        match problem(self.size, self.overlap) {
            Some((param, message)) => Err(ParamError::Check { param, message }),
            None => Ok(()),
        }
    }

    fn uses(&self) -> Uses {
        let of = |split: &Split| DataUse { input: "dataset", part: split.name(), purpose: "pretraining" };
        Uses { trained: self.from.splits().iter().map(of).collect(), ..Uses::default() }
    }

    fn reads(&self, role: &str) -> Vec<String> {
        if role == "dataset" { manifests_of(self.from.splits().iter().copied()) } else { Vec::new() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        let params = self.params();
        let out = context.out.clone();
        let count = cut(&dataset, &params, &out, &mut context.image_counter()).map_err(data_error)?;
        context.telemetry.insert("patches".into(), count.into());
        Ok(())
    }
}
