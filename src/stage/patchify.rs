//! `patchify`: cuts images into patches for pretraining.

use super::counts::{counts, cure};
use super::data_set::manifests_of;
use super::errors::data_error;
use super::outlook::Outlook;
use super::{Context, DATASET, DataUse, Foresight, Known, Stage, StageError, StageKind, Uses, open_dataset};
use crate::data::patches::{Edge, PatchParams, Patches, Use, cut};
use crate::data::survey;
use crate::data::{Manifest, Split};
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
    /// The number of patches of the data set `name`.
    ///
    /// # Errors
    /// If there is none: the images, and the cure.
    fn count(&self, manifest: &Manifest, name: &str) -> Result<usize, String> {
        let splits = self.from.splits();
        let images = manifest.images.iter().filter(|entry| splits.contains(&entry.split));
        let count = survey::patches(manifest, &self.params());
        let largest = images.map(|entry| (entry.width, entry.height)).max_by_key(|&(width, height)| width.min(height));
        match (count, largest) {
            (0, None) => {
                let words = splits.iter().map(|split| split.name()).collect::<Vec<_>>().join(" or ");
                let other = match self.from {
                    Use::Unlabeled => "set `use = \"train\"` or \"all-but-test\" here, or ",
                    Use::Train => "set `use = \"all-but-test\"` here, or ",
                    Use::AllButTest => "",
                };
                let cure = cure(manifest, name, splits[0]);
                Err(format!(
                    "data set {name} has no {words} images to cut patches from{}: {other}{cure}",
                    counts(manifest)
                ))
            }
            (0, Some((width, height))) => Err(format!(
                "no image of data set {name} holds a patch of {} pixels, the largest is {width}×{height}: choose a \
                 smaller `size`, or `edge = \"shift\"`, which mirrors images that are too small",
                self.size
            )),
            (count, _) => Ok(count),
        }
    }

    /// What is suspicious about the images of the data set `name`.
    fn warning(&self, manifest: &Manifest, name: &str) -> Option<String> {
        let used: Vec<_> = manifest.images.iter().filter(|entry| self.from.splits().contains(&entry.split)).collect();
        let small: Vec<_> = used.iter().filter(|entry| entry.width.min(entry.height) < self.size).collect();
        let least = small.iter().min_by_key(|entry| entry.width.min(entry.height))?;
        let what = match self.edge {
            Edge::Drop => "give no patch; `edge = \"shift\"` or a smaller `size` uses them",
            Edge::Shift | Edge::Pad => "are mirrored at their edges; a smaller `size` avoids that",
        };
        Some(format!(
            "{} of {} images of data set {name} are smaller than a patch of {} pixels (the smallest is {}×{}) and {what}",
            small.len(),
            used.len(),
            self.size,
            least.width,
            least.height
        ))
    }

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

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let Some((name, manifest)) = Outlook::images(known, "dataset") else { return Foresight::nothing() };
        let count = self.count(manifest, name);
        let warnings = self.warning(manifest, name).into_iter().filter(|_| count.is_ok()).collect();
        let used = self.from.splits().iter().flat_map(|split| manifest.entries(*split));
        let channels = used.map(|entry| entry.channels).max().unwrap_or(1);
        let patches = count.map(|count| Outlook::Patches { count, size: self.size, channels }.prospect());
        Foresight { warnings, ..Foresight::of(patches) }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let dataset = open_dataset(context.input("dataset")?)?;
        self.count(&dataset.manifest, &context.input("dataset")?.label).map_err(StageError::BadData)?;
        let params = self.params();
        let out = context.out.clone();
        let count = cut(&dataset, &params, &out, &mut context.image_counter()).map_err(data_error)?;
        context.telemetry.insert("patches".into(), count.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::tests::params;
    use super::*;
    use crate::data::synthesize::{SynthesizeParams, outline};

    #[test]
    fn patches_are_counted_and_images_without_any_are_named() {
        let images = |size, unlabeled| outline(&SynthesizeParams { size, unlabeled, ..Default::default() });
        let stage = |more: &str| params::<Patchify>(&format!(r#"{{ "dataset": "<input>", "size": 32{more} }}"#));
        assert_eq!(stage("").count(&images(64, 3), "steel").unwrap(), 12);
        let error = stage("").count(&images(64, 0), "steel").unwrap_err();
        assert_eq!(
            error,
            "data set steel has no unlabeled images to cut patches from (8 train, 4 val, 4 test, 0 unlabeled): set `use = \
             \"train\"` or \"all-but-test\" here, or set `unlabeled = 1` or more in the stage `steel`"
        );
        let error = stage("").count(&images(24, 3), "steel").unwrap_err();
        assert!(error.starts_with("no image of data set steel holds a patch of 32 pixels, the largest is 24×24"));
        let shifted = stage(r#", "edge": "shift""#);
        assert_eq!(shifted.count(&images(24, 3), "steel").unwrap(), 3);
        let warning = shifted.warning(&images(24, 3), "steel").unwrap();
        assert!(
            warning.starts_with("3 of 3 images of data set steel are smaller than a patch of 32 pixels"),
            "{warning}"
        );
        assert_eq!(shifted.warning(&images(32, 3), "steel"), None);
    }
}
