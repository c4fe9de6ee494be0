//! The models of an evaluation: one, or several that predict together.

use super::super::artifacts::{ModelFile, ReferenceFile};
use super::super::{Context, StageError};
use crate::data::Micrograph;
use crate::metrics::{Fold, SelectedOn};
use crate::train::inference::{
    ModelConfig, Network, Prediction, Segmenter, Settings, memory_together, predict_together,
};
use crate::train::memory::Needs;
use candle_core::Device;
use matssl_predict::engine::Tta;
use matssl_predict::reference::Reference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether several models predict together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub(super) enum Ensemble {
    /// One model.
    #[default]
    No,
    /// All that `model` names, for each seed by itself.
    Models,
    /// All that `model` names, of all seeds.
    Seeds,
}

/// As users write it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected true, or \"seeds\" for the models of all seeds together")]
#[schemars(title = "true, or \"seeds\"")]
enum Written {
    Together(bool),
    Over(Over),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Over {
    Seeds,
}

impl From<Written> for Ensemble {
    fn from(written: Written) -> Self {
        match written {
            Written::Together(false) => Ensemble::No,
            Written::Together(true) => Ensemble::Models,
            Written::Over(Over::Seeds) => Ensemble::Seeds,
        }
    }
}

impl From<Ensemble> for Written {
    fn from(ensemble: Ensemble) -> Self {
        match ensemble {
            Ensemble::No => Written::Together(false),
            Ensemble::Models => Written::Together(true),
            Ensemble::Seeds => Written::Over(Over::Seeds),
        }
    }
}

impl Ensemble {
    /// Whether it is the default, which is left out of the JSON, so that keys do not change.
    pub(super) fn is_no(&self) -> bool {
        *self == Ensemble::No
    }

    /// Checks it with the number of stages that `model` names, whose seeds are not counted.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn check(self, stages: usize) -> Result<(), String> {
        match self {
            Ensemble::No if stages > 1 => {
                Err(format!("`model` names {stages} stages: set `ensemble = true` if they predict together"))
            }
            Ensemble::Models if stages == 1 => Err("an ensemble needs several models, and `model` names one: name several, as \
                `model = [\"segment.a\", \"segment.b\"]` or a stage with `folds`, set `ensemble = \"seeds\"`, or remove it"
                .into()),
            _ => Ok(()),
        }
    }

    /// Checks it with the number of models, seeds included.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn check_models(self, models: usize) -> Result<(), String> {
        match self {
            Ensemble::Seeds if models == 1 => {
                Err("`ensemble = \"seeds\"` needs several models, and there is one stage with one \
                seed: set `seeds = [0, 1, 2]` at the top of the file, or remove it"
                    .into())
            }
            _ => Ok(()),
        }
    }
}

/// The models of an evaluation, loaded on a device.
pub(super) struct Models {
    segmenters: Vec<Segmenter>,
    /// What is known of a single model. Errors and temperatures of single models do not hold for their mean.
    pub(super) reference: Option<Reference>,
    settings: Settings,
}

impl Models {
    /// Loads the input `model` of `context`.
    ///
    /// # Errors
    /// A damaged file; models that cannot take the tiles of the others.
    pub(super) fn load(context: &Context, device: &Device, overlap: f64, tta: Tta) -> Result<Self, StageError> {
        let inputs = context.inputs("model");
        let segmenters =
            inputs.iter().map(|input| ModelFile::load(input, device)).collect::<anyhow::Result<Vec<_>>>()?;
        let first = segmenters.first().ok_or_else(|| anyhow::anyhow!("{} has no model", context.name))?;
        let tile = segmenters.iter().map(|segmenter| segmenter.config().crop_size).max().unwrap_or(0);
        if segmenters.len() > 1 {
            for (input, segmenter) in inputs.iter().zip(&segmenters) {
                let fit = segmenter.config().network.check_side(tile);
                fit.map_err(|message| {
                    StageError::BadData(format!("{}: tiles of {tile} pixels: {message}", input.label))
                })?;
            }
        }
        let settings =
            Settings { symmetries: tta.symmetries(), ..Settings::new(tile, overlap, first.network().parameters) };
        let reference = match inputs {
            [input] => ReferenceFile::read(input)?,
            _ => None,
        };
        Ok(Models { segmenters, reference, settings })
    }

    /// The configuration of each, with its label.
    pub(super) fn configs<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = (&'a str, &'a ModelConfig)> {
        let labels = context.inputs("model").iter().map(|input| input.label.as_str());
        labels.zip(self.segmenters.iter().map(Segmenter::config))
    }

    /// How the epochs were chosen: by test images, if it was so for any model.
    pub(super) fn selected_on(&self) -> SelectedOn {
        let all = self.segmenters.iter().map(|segmenter| segmenter.config().selected_on);
        all.max_by_key(|&on| on == SelectedOn::Test).unwrap_or_default()
    }

    /// The fold of a single model.
    pub(super) fn fold(&self) -> Option<Fold> {
        match &self.segmenters[..] {
            [segmenter] => segmenter.config().fold,
            _ => None,
        }
    }

    /// The number of models, if they are several.
    pub(super) fn several(&self) -> Option<usize> {
        (self.segmenters.len() > 1).then_some(self.segmenters.len())
    }

    /// Estimate of the peak memory of a prediction of images of the sizes `images`.
    ///
    /// # Errors
    /// If the tile is no multiple of 32.
    pub(super) fn memory(&self, images: impl Iterator<Item = (usize, usize)>) -> anyhow::Result<Needs> {
        memory_together(&self.networks(), &self.settings, images)
    }

    /// The mean of the models' probabilities over the copies of each tile.
    ///
    /// # Errors
    /// If an output is not finite.
    pub(super) fn predict(&self, image: &Micrograph) -> anyhow::Result<Prediction> {
        predict_together(&self.networks(), image, &self.settings)
    }

    /// The probabilities of the model `number` alone, likewise.
    ///
    /// # Errors
    /// As [`Models::predict`].
    pub(super) fn predict_by(&self, number: usize, image: &Micrograph) -> anyhow::Result<Prediction> {
        predict_together(&[self.segmenters[number].network()], image, &self.settings)
    }

    fn networks(&self) -> Vec<Network<'_>> {
        self.segmenters.iter().map(Segmenter::network).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ensemble_is_true_or_over_seeds_and_has_several_models() {
        let read = |json: &str| serde_json::from_str::<Ensemble>(json);
        for (json, ensemble) in [("true", Ensemble::Models), ("\"seeds\"", Ensemble::Seeds), ("false", Ensemble::No)] {
            assert_eq!(read(json).unwrap(), ensemble);
            assert_eq!(serde_json::to_string(&ensemble).unwrap(), json);
        }
        assert!(read("\"folds\"").unwrap_err().to_string().starts_with("expected true, or \"seeds\""));
        assert!(Ensemble::No.check(1).is_ok() && Ensemble::Models.check(2).is_ok() && Ensemble::Seeds.check(1).is_ok());
        assert!(Ensemble::No.check(5).unwrap_err().ends_with("set `ensemble = true` if they predict together"));
        assert!(Ensemble::Models.check(1).unwrap_err().starts_with("an ensemble needs several models"));
        assert!(Ensemble::Seeds.check_models(1).unwrap_err().contains("set `seeds = [0, 1, 2]`"));
        assert!(Ensemble::Seeds.check_models(2).is_ok() && Ensemble::No.check_models(1).is_ok());
    }
}
