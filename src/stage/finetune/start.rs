//! The parameter `start`: what of a weight file a fine-tuning starts from.

use super::super::encoder::EncoderSpec;
use super::super::initial_weights::Weights;
use super::super::{Context, Places, StageError};
use crate::nn::weights::{LoadReport, Request};
use crate::nn::{Architecture, Parameters, SegmentationConfig, SegmentationNetwork};
use crate::train::inference::ModelConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the names of the head begin, of the architectures whose whole models can start a training.
pub(super) const HEAD: &str = "segmentation_head.";
/// Where those of the decoder begin.
const DECODER: &str = "decoder.";

/// What starts from the file of `encoder.weights`, or from `model`.
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
    pub(super) fn check(self, encoder: Option<&EncoderSpec>, architecture: Architecture) -> Result<(), String> {
        let is_of_windows = matches!(architecture, Architecture::SwinUnet | Architecture::CsUnet);
        if self != Start::Encoder && is_of_windows {
            return Err(format!(
                "\"{}\" is not there for architecture = \"{}\" yet: only its encoder can start from a file",
                self.word(),
                architecture.word()
            ));
        }
        let from_file = encoder.is_some_and(|encoder| matches!(encoder.weights, Weights::File(_)));
        if self == Start::Encoder || from_file {
            return Ok(());
        }
        Err(format!(
            "\"{}\" needs the file of a whole model: `encoder = {{ arch = …, weights = \"path/model.safetensors\" }}`",
            self.word()
        ))
    }

    /// Checks, before the run starts, that the file holds all of the network that starts from it, whatever the classes of its
    /// head. Returns where it was found; `None` if the weights are random.
    ///
    /// # Errors
    /// As [`EncoderSpec::ready`]; [`StageError::BadData`] if the file is of another network, or of an encoder alone.
    pub(super) fn ready(
        self,
        encoder: &EncoderSpec,
        network: &SegmentationConfig,
        places: &Places,
    ) -> Result<Option<LoadReport>, StageError> {
        if self == Start::Encoder {
            return encoder.ready(places);
        }
        let mut expected = SegmentationNetwork::new(network.clone()).shapes();
        expected.retain(|(name, _)| !name.starts_with(HEAD));
        let whole = encoder.ready_as(&expected, places);
        let found = match &whole {
            Ok(None) => return Ok(None),
            Ok(Some(report)) => report.clone(),
            // What is wrong with the encoder is said first.
            Err(_) => match encoder_of(encoder).ready(places)? {
                None => return whole,
                Some(report) => report,
            },
        };
        let weights = String::from(encoder.weights.clone());
        let is_decoder = |name: &str| name.contains(DECODER);
        let alone = match &whole {
            Ok(_) => expected.iter().all(|(name, _)| !is_decoder(name) || found.missing.contains(name)),
            Err(_) => !found.passed_over.iter().any(|name| is_decoder(name)),
        };
        if alone {
            return Err(StageError::BadData(format!(
                "{weights} holds an encoder alone, but the experiment has `start = \"{}\"`: give the file of a whole \
                 model, or set `start = \"encoder\"`",
                self.word()
            )));
        }
        let describe = |config: &SegmentationConfig| {
            let word = config.architecture.word();
            if config.architecture.has_decoder_channels() {
                format!("{word} with decoder_channels = {:?}", config.unet_channels())
            } else {
                word.to_owned()
            }
        };
        let theirs = found.config.as_deref().and_then(model).map(|theirs| describe(&theirs.network));
        let ours = describe(network);
        if let Some(theirs) = theirs.filter(|theirs| *theirs != ours) {
            return Err(StageError::BadData(format!(
                "{weights} is a {theirs}, the experiment's network a {ours}: make them the same, or set `start = \
                 \"encoder\"`"
            )));
        }
        let Some(mut report) = whole? else { return Ok(None) };
        if self == Start::Model {
            let head = format!("{}{HEAD}", report.prefix);
            let others = report.passed_over.len();
            report.passed_over.retain(|name| !name.starts_with(&head));
            if report.passed_over.len() == others && !encoder.allow_missing {
                return Err(StageError::BadData(format!(
                    "{weights} holds no head ({HEAD}0.weight), but the experiment has `start = \"model\"`: set `start = \
                     \"decoder\"` for a new one"
                )));
            }
        }
        Ok(Some(report))
    }

    /// Checks, before the run starts, that the head in the file is for `classes`. What [`Start::ready`] finds is not said again.
    ///
    /// # Errors
    /// The text of the later error.
    pub(super) fn foresee(
        self,
        encoder: &EncoderSpec,
        network: &SegmentationConfig,
        classes: &[String],
        places: &Places,
    ) -> Result<(), String> {
        if self != Start::Model || !matches!(self.ready(encoder, network, places), Ok(Some(_))) {
            return Ok(());
        }
        let said = |error| match error {
            StageError::BadData(message) => Err(message),
            _ => Ok(()),
        };
        let expected = SegmentationNetwork::new(network.clone()).shapes();
        match encoder.ready_as(&expected, places).map_err(cure) {
            Ok(report) => self.check_classes(encoder, report.as_ref(), classes).or_else(said),
            Err(error) => said(error),
        }
    }

    /// Checks that the head that was `loaded` predicts `classes`, as far as the file says.
    fn check_classes(
        self,
        encoder: &EncoderSpec,
        loaded: Option<&LoadReport>,
        classes: &[String],
    ) -> Result<(), StageError> {
        let theirs = loaded.and_then(|LoadReport { config, .. }| model(config.as_deref()?));
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

    /// Loads into `parameters`, where the encoder lies below a prefix, what starts from the file; `classes` are those of the data set.
    ///
    /// # Errors
    /// As [`EncoderSpec::load`]; [`StageError::BadData`] if the head is of other classes.
    pub(super) fn load(
        self,
        encoder: &EncoderSpec,
        (parameters, prefix): (&Parameters, &str),
        classes: &[String],
        context: &mut Context,
    ) -> Result<(), StageError> {
        let request = encoder.request();
        let loaded = match self {
            Start::Encoder => return encoder.load(parameters, prefix, context),
            Start::Decoder => {
                let request = Request { without: Some(HEAD), ..request };
                encoder.load_as(&request, parameters, "", context)?
            }
            Start::Model => encoder.load_as(&request, parameters, "", context).map_err(cure)?,
        };
        self.check_classes(encoder, loaded.as_ref(), classes)
    }
}

/// The encoder in a whole model's file: `prefix` is that of the model.
fn encoder_of(model: &EncoderSpec) -> EncoderSpec {
    let prefix = model.prefix.as_deref().map(|prefix| match prefix.trim_end_matches('.') {
        "" => "encoder.".to_owned(),
        prefix => format!("{prefix}.encoder."),
    });
    EncoderSpec { prefix, ..model.clone() }
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
