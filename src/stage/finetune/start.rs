//! The parameter `start`: what of a weight file a fine-tuning starts from.

use super::super::encoder::{EncoderSpec, Weights};
use super::super::{Context, Places, StageError};
use crate::nn::weights::{LoadReport, Request};
use crate::nn::{Parameters, SegmentationConfig};
use crate::ssl::ENCODER;
use crate::train::inference::ModelConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the names of the head begin.
const HEAD: &str = "segmentation_head.";

/// What starts from the file of `encoder.weights`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Start {
    /// The encoder.
    #[default]
    Encoder,
    /// Encoder and decoder of a whole model's file; the head is new.
    Decoder,
    /// All of a whole model's file.
    Model,
}

impl Start {
    /// Whether it was there before there was a choice.
    pub(super) fn is_default(&self) -> bool {
        *self == Start::default()
    }

    fn word(self) -> &'static str {
        match self {
            Start::Encoder => "encoder",
            Start::Decoder => "decoder",
            Start::Model => "model",
        }
    }

    /// Checks it against the encoder, `None` if that comes from another stage.
    ///
    /// # Errors
    /// One line with the remedy.
    pub(super) fn check(self, encoder: Option<&EncoderSpec>) -> Result<(), String> {
        let from_file = encoder.is_some_and(|encoder| matches!(encoder.weights, Weights::File(_)));
        if self == Start::Encoder || from_file {
            return Ok(());
        }
        Err(format!(
            "\"{}\" needs the file of a whole model: `encoder = {{ arch = …, weights = \"path/model.safetensors\" }}`",
            self.word()
        ))
    }

    /// Checks, before the run starts, that the file holds the encoder and, as far as its metadata tell, this network. Returns
    /// where the encoder was found; `None` if the weights are random.
    ///
    /// # Errors
    /// As [`EncoderSpec::ready`]; [`StageError::BadData`] if the file is of another network.
    pub(super) fn ready(
        self,
        encoder: &EncoderSpec,
        network: &SegmentationConfig,
        places: &Places,
    ) -> Result<Option<LoadReport>, StageError> {
        if self == Start::Encoder {
            return encoder.ready(places);
        }
        // The prefix is that of the whole model.
        let prefix = encoder.prefix.as_deref().map(|prefix| match prefix.trim_end_matches('.') {
            "" => "encoder.".to_owned(),
            prefix => format!("{prefix}.encoder."),
        });
        let Some(report) = EncoderSpec { prefix, ..encoder.clone() }.ready(places)? else { return Ok(None) };
        let Some(config) = report.config.as_deref() else { return Ok(Some(report)) };
        let weights = String::from(encoder.weights.clone());
        let Some(theirs) = model(config) else {
            return Err(StageError::BadData(format!(
                "{weights} holds an encoder alone, but the experiment has `start = \"{}\"`: give the file of a whole \
                 model, or set `start = \"encoder\"`",
                self.word()
            )));
        };
        let describe = |config: &SegmentationConfig| {
            let word = serde_json::to_value(config.architecture).ok();
            let word = word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            format!("{word} with decoder_channels = {:?}", config.decoder_channels)
        };
        let (theirs, ours) = (describe(&theirs.network), describe(network));
        if theirs == ours {
            return Ok(Some(report));
        }
        Err(StageError::BadData(format!(
            "{weights} is a {theirs}, the experiment's network a {ours}: make them the same, or set `start = \"encoder\"`"
        )))
    }

    /// Loads into `parameters` what starts from the file; `classes` are those of the data set.
    ///
    /// # Errors
    /// As [`EncoderSpec::load`]; [`StageError::BadData`] if the head is of other classes.
    pub(super) fn load(
        self,
        encoder: &EncoderSpec,
        parameters: &Parameters,
        classes: &[String],
        context: &mut Context,
    ) -> Result<(), StageError> {
        let request = encoder.request();
        let loaded = match self {
            Start::Encoder => return encoder.load(parameters, ENCODER, context),
            Start::Decoder => {
                let request = Request { without: Some(HEAD), ..request };
                encoder.load_as(&request, parameters, "", context)?
            }
            Start::Model => encoder.load_as(&request, parameters, "", context).map_err(cure)?,
        };
        let theirs = loaded.as_ref().and_then(|LoadReport { config, .. }| model(config.as_deref()?));
        match theirs.filter(|theirs| self == Start::Model && theirs.class_names != classes) {
            Some(theirs) => Err(StageError::BadData(format!(
                "{} predicts the classes {}, the data set has {}: its head would start with the wrong ones; set `start = \
                 \"decoder\"` for a new head",
                String::from(encoder.weights.clone()),
                theirs.class_names.join(", "),
                classes.join(", ")
            ))),
            None => Ok(()),
        }
    }
}

/// The configuration that this program wrote into a whole model's file.
fn model(config: &str) -> Option<ModelConfig> {
    serde_json::from_str(config).ok()
}

/// Adds the cure for a head of another number of classes.
fn cure(error: StageError) -> StageError {
    match error {
        StageError::BadData(message) if message.contains(HEAD) => StageError::BadData(format!(
            "{message}\nWith `start = \"decoder\"` the head starts with random values, for other classes."
        )),
        other => other,
    }
}
